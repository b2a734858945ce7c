import pytest

from seqmtl.errors import ConfigError
from seqmtl.specs.training import LearningRates, TrainingSpec


def parse(**data):
    return TrainingSpec.parse(data, source="training")


def test_rates_are_overridden_one_by_one():
    assert parse(learning_rates={"heads": 0.5}).learning_rates == LearningRates(heads=0.5)
    assert parse(learning_rates={"encoder": "2e-4"}).learning_rates.encoder == 2e-4  # YAML reads 2e-4 as a string


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({"epochs": 0}, "epochs: got 0"),
        ({"epoch": 3}, "epoch: unknown key; did you mean 'epochs'"),
        ({"learning_rates": {"head": 1}}, r"learning_rates\.head: unknown key; did you mean 'heads'"),
        ({"learning_rates": {"heads": -1}}, r"learning_rates\.heads: got -1"),
        ({"warmup": 1.0}, "warmup: got 1.0"),
        ({"layer_decay": 0.0}, "layer_decay: got 0.0"),
        ({"schedule": "cosin"}, "schedule: got 'cosin'.*'cosine'"),
        ({"precision": "fp8"}, "precision: got 'fp8'.*'bf16'"),
        ({"trackers": ["mlflow"]}, r"trackers\.0: got 'mlflow'.*'tensorboard'"),
        ({"accumulation": 0}, "accumulation: got 0"),
        ({"patience": 0}, "patience: got 0"),
        ({"max_steps": 0}, "max_steps: got 0"),
        ({"clip_norm": 0}, "clip_norm: got 0"),
        ({"seed": -1}, "seed: got -1"),
    ],
)
def test_a_bad_value_is_named_by_its_path(data, complaint):
    with pytest.raises(ConfigError, match=complaint):
        parse(**data)
