"""The plain Meta-LSTM against its equations with the weights W(z) written out."""

import torch
from torch.autograd import gradcheck

from seqmtl.kernels.meta_lstm import reference


def explicit(layer, *, task, direction, sentence):
    """h and z of one sentence, with W(z) and b(z) built for every word."""
    meta = [None if part is None else part[min(direction, len(part) - 1)] for part in layer.meta]
    left, right, bias = (part[task, direction] for part in layer.basic)
    words = layer.inputs[min(task, len(layer.inputs) - 1), sentence, : int(layer.mask[sentence].sum())]
    h, c = torch.zeros(2, left.shape[1], dtype=words.dtype)
    meta_h, meta_c = torch.zeros(2, len(meta[0]) // 4, dtype=words.dtype)
    found = {}
    order = range(len(words)) if direction == 0 else reversed(range(len(words)))
    for t in order:
        g, i, f, o = (meta[0] @ torch.cat((words[t], meta_h, h)) + meta[1]).chunk(4)
        meta_c = torch.tanh(g) * torch.sigmoid(i) + meta_c * torch.sigmoid(f)
        meta_h = torch.sigmoid(o) * torch.tanh(meta_c)
        z = (meta_h if meta[2] is None else meta[2] @ meta_h) + layer.z_offset
        weights = torch.einsum("ghz,z,gzd->ghd", left, z, right)  # W(z), a matrix for each gate
        gates = weights @ torch.cat((words[t], h)) + bias @ z
        c = torch.tanh(gates[0]) * torch.sigmoid(gates[1]) + c * torch.sigmoid(gates[2])
        h = torch.sigmoid(gates[3]) * torch.tanh(c)
        found[t] = (h, z)
    return found


def test_ml1_equals_explicit_weights(layer):
    hidden, meta = reference.meta_lstm(*run_arguments(layer), z_offset=layer.z_offset)
    tasks, directions = layer.basic.left.shape[:2]
    assert hidden.shape == (tasks, 3, 6, directions * 4)
    for task in range(tasks):
        for direction in range(directions):
            for sentence in range(3):
                words = explicit(layer, task=task, direction=direction, sentence=sentence)
                own = hidden[task, sentence, :, direction * 4 : direction * 4 + 4]
                for t in range(6):
                    h, z = words.get(t, (torch.zeros(4).double(), torch.zeros_like(meta[0, 0, 0, 0])))
                    torch.testing.assert_close(own[t], h)
                    torch.testing.assert_close(meta[task, direction, sentence, t], z.detach())


def test_gradient_is_exact(make_layer):
    layer = make_layer(z_offset=0.5)

    def run(*tensors):
        other = layer.with_tensors(tensors)
        return reference.meta_lstm(*run_arguments(other), z_offset=layer.z_offset).hidden

    assert gradcheck(run, layer.tensors(), fast_mode=True)


def run_arguments(layer):
    return layer.inputs, layer.mask, layer.meta, layer.basic
