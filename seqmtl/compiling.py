"""``torch.compile`` of what takes the time."""

from seqmtl.encoders.transformer import TransformerEncoder
from seqmtl.modeling import SeqMTLModel
from seqmtl.sharing.towers.transformer import TransformerTower


def compile_transformer(model: SeqMTLModel) -> None:
    """Let torch make programs of a pretrained transformer, and of towers that are copies of its blocks.

    Each is made when it is first used, for batches of any shape; copies of the model and checkpoints have none. Heads
    and other towers are left as they are: they are small, and their shapes follow the annotation.
    """
    assert isinstance(model.encoder, TransformerEncoder)
    model.encoder.model.compile(dynamic=True)
    for tower in model.sharing.modules():
        if isinstance(tower, TransformerTower):
            for block in tower.layers.values():
                block.compile(dynamic=True)
