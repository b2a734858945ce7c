"""The loops over words of a Meta-LSTM, forward and backward, as CUDA kernels; only this module imports Triton.

C chains (a task in a direction), B sentences, T words, H size of the Basic-LSTM, M of the Meta-LSTM, Z of the meta
vector. Gates stand in the order g, i, f, o. The equations, and what each tensor of the trace holds, are in
``seqmtl.kernels.meta_lstm.recurrence``; where it has K tasks, here are the C chains.

A program runs one chain over ROWS sentences through all words, so no program ever waits for another. At each word it
reads the weights of its chain, which are too many to keep at hand, from the L2 cache. What one word leaves to the next
goes through the trace in global memory, where it is written in any case; a barrier of the program's threads stands
between writing and reading. There are three to a word, since three times a product needs all of what came before it.

Everything is done in tiles of ROWS sentences by UNITS of what is computed, INNER of what is summed over at a time. What
sticks out at the ends is masked, so no size has to be a multiple of anything. Sizes are constants of the compiled
kernel: from them the compiler knows which addresses are aligned.

A tensor is handed over as a pointer to its first element, and is contiguous. In a function of tiles, ``x_gate`` is how
far the next gate of x is, ``x_row`` the next row.
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
# Triton comes with torch's CUDA builds only, and the type checker has to pass without: it then looks into the module of
# that name beside this one.
import triton
import triton.language as tl


@triton.jit(do_not_specialize=["batch", "words"])
def forward(
    below,  # in: what W_m and Q make of x, with b_m; out: as in Trace, [C, T, B, 4M + 4Z]
    of_state,  # what W_m and Q have for h of both cells, [C, 4M + 4Z, H + M]
    projection,  # W_z, [C, Z, M]; None: z is the meta cell's state
    generated,  # P beside B, [C, 4, H, 2Z]
    gates,  # out, as all that follow, [C, 4, T, B, H]
    factors,  # [C, 4, T, B, 2Z]
    states,  # 0 before the first word, as the next two, [C, T + 1, B, H + M]
    meta_memory,  # [C, T + 1, B, M]
    memory,  # [C, T + 1, B, H]
    z_offset,
    batch,
    words,
    H: tl.constexpr,
    M: tl.constexpr,
    Z: tl.constexpr,
    PRECISION: tl.constexpr,
    ROWS: tl.constexpr,
    UNITS: tl.constexpr,
    INNER: tl.constexpr,
):
    """Fill the trace. The grid is [C, B / ROWS]."""
    chain = tl.program_id(0).to(tl.int64)
    rows = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    word = batch.to(tl.int64)  # rows of a word
    plane = word * words  # rows of a gate, and of a chain
    zero = tl.zeros([ROWS, UNITS], below.dtype.element_ty)

    of_state += chain * (4 * (M + Z) * (H + M))
    generated += chain * (4 * H * 2 * Z)
    if projection is not None:
        projection += chain * (Z * M)
    below += chain * plane * (4 * (M + Z))
    gates += chain * plane * (4 * H)
    factors += chain * plane * (4 * 2 * Z)
    states += chain * (plane + word) * (H + M)
    meta_memory += chain * (plane + word) * M
    memory += chain * (plane + word) * H

    for _ in range(words):
        after = states + word * (H + M)

        for start in range(0, M, UNITS):  # the meta cell
            units = start + tl.arange(0, UNITS)
            g, i, f, o = _gates(below, M, rows, batch, 4 * (M + Z), units, M)
            g, i, f, o = _add_products(
                g, i, f, o, states, 0, rows, batch, H + M, of_state, M * (H + M), units, M, H + M,
                H + M, INNER, PRECISION,
            )  # fmt: skip
            g, i, f, o, c, h = _cell(g, i, f, o, _tile(meta_memory, rows, batch, M, units, M, 1))
            _put_gates(g, i, f, o, below, M, rows, batch, 4 * (M + Z), units, M)
            _put(c, meta_memory + word * M, rows, batch, M, units, M)
            _put(h, after + H, rows, batch, H + M, units, M)
        tl.debug_barrier()

        for start in range(0, Z, UNITS):  # Q v, z and their product
            units = start + tl.arange(0, UNITS)
            right = below + 4 * M
            g, i, f, o = _gates(right, Z, rows, batch, 4 * (M + Z), units, Z)
            g, i, f, o = _add_products(
                g, i, f, o, states, 0, rows, batch, H + M, of_state + 4 * M * (H + M), Z * (H + M), units, Z, H + M,
                H, INNER, PRECISION,
            )  # fmt: skip
            if projection is None:
                z = _tile(after + H, rows, batch, H + M, units, Z, 1)
            else:
                z = _add_product(
                    zero, after + H, rows, batch, H + M, projection, 1, units, Z, M, M, INNER, PRECISION
                )  # fmt: skip
            z += z_offset
            _put_gates(g, i, f, o, right, Z, rows, batch, 4 * (M + Z), units, Z)
            _put_gates(g * z, i * z, f * z, o * z, factors, plane * (2 * Z), rows, batch, 2 * Z, units, Z)
            _put_gates(z, z, z, z, factors + Z, plane * (2 * Z), rows, batch, 2 * Z, units, Z)
        tl.debug_barrier()

        for start in range(0, H, UNITS):  # the basic cell
            units = start + tl.arange(0, UNITS)
            g, i, f, o = _add_products(
                zero, zero, zero, zero, factors, plane * (2 * Z), rows, batch, 2 * Z, generated, H * 2 * Z, units, H,
                2 * Z, 2 * Z, INNER, PRECISION,
            )  # fmt: skip
            g, i, f, o, c, h = _cell(g, i, f, o, _tile(memory, rows, batch, H, units, H, 1))
            _put_gates(g, i, f, o, gates, plane * H, rows, batch, H, units, H)
            _put(c, memory + word * H, rows, batch, H, units, H)
            _put(h, after, rows, batch, H + M, units, H)
        tl.debug_barrier()

        below += word * (4 * (M + Z))
        gates += word * H
        factors += word * (2 * Z)
        states = after
        meta_memory += word * M
        memory += word * H


@triton.jit(do_not_specialize=["batch", "words"])
def backward(
    grad,  # of h of the basic cell, [C, T, B, H]
    of_state,  # the weights and the trace are those of `forward`
    projection,
    generated,
    below,
    gates,
    factors,
    meta_memory,
    memory,
    to_below,  # out: the gradient of `below`, of gates before their functions, [C, T, B, 4M + 4Z]
    to_gates,  # out: that of `gates`, likewise, [C, 4, T, B, H]
    to_vectors,  # out: that of z, [C, T, B, Z]
    meta_carried,  # what the word after hands to c of the meta cell, at first 0, [C, B, M]
    carried,  # to c of the basic cell, [C, B, H]
    batch,
    words,
    H: tl.constexpr,
    M: tl.constexpr,
    Z: tl.constexpr,
    PRECISION: tl.constexpr,
    ROWS: tl.constexpr,
    UNITS: tl.constexpr,
    INNER: tl.constexpr,
):
    """From the end to the start. The grid is that of ``forward``."""
    chain = tl.program_id(0).to(tl.int64)
    rows = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    word = batch.to(tl.int64)  # rows of a word
    plane = word * words  # rows of a gate, and of a chain
    last = plane - word
    zero = tl.zeros([ROWS, UNITS], below.dtype.element_ty)

    of_state += chain * (4 * (M + Z) * (H + M))
    generated += chain * (4 * H * 2 * Z)
    if projection is not None:
        projection += chain * (Z * M)
    grad += (chain * plane + last) * H
    below += (chain * plane + last) * (4 * (M + Z))
    gates += (chain * plane * 4 + last) * H
    factors += (chain * plane * 4 + last) * (2 * Z)
    meta_memory += (chain * (plane + word) + last) * M
    memory += (chain * (plane + word) + last) * H
    to_below += (chain * plane + last) * (4 * (M + Z))
    to_gates += (chain * plane * 4 + last) * H
    to_vectors += (chain * plane + last) * Z
    meta_carried += chain * word * M
    carried += chain * word * H

    n_after = 0  # rows of the word after: the last one has none
    for _ in range(words):
        to_after = to_below + word * (4 * (M + Z))

        for start in range(0, H, UNITS):  # the basic cell
            units = start + tl.arange(0, UNITS)
            to_h = _tile(grad, rows, batch, H, units, H, 1)
            to_h = _add_product(
                to_h, to_after, rows, n_after, 4 * (M + Z), of_state, H + M, units, H, 1,
                4 * (M + Z), INNER, PRECISION,
            )  # fmt: skip
            g, i, f, o = _gates(gates, plane * H, rows, batch, H, units, H)
            g, i, f, o, to_c = _cell_gradient(
                g, i, f, o,
                _tile(memory, rows, batch, H, units, H, 1), _tile(memory + word * H, rows, batch, H, units, H, 1),
                to_h, _tile(carried, rows, batch, H, units, H, 1),
            )  # fmt: skip
            _put_gates(g, i, f, o, to_gates, plane * H, rows, batch, H, units, H)
            _put(to_c, carried, rows, batch, H, units, H)
        tl.debug_barrier()

        for start in range(0, Z, UNITS):  # Q v and z, from what P and B hand back
            units = start + tl.arange(0, UNITS)
            z = _tile(factors + Z, rows, batch, 2 * Z, units, Z, 1)
            to_z = zero
            for gate in tl.static_range(4):
                to_gate = to_gates + gate * plane * H
                left = generated + gate * (H * 2 * Z)
                to_product, to_z = _add_two_products(
                    zero, to_z, to_gate, rows, batch, H, left, 2 * Z, units, Z, 1, H, INNER, PRECISION
                )  # fmt: skip
                at = 4 * M + gate * Z
                to_z += to_product * _tile(below + at, rows, batch, 4 * (M + Z), units, Z, 1)
                _put(to_product * z, to_below + at, rows, batch, 4 * (M + Z), units, Z)
            _put(to_z, to_vectors, rows, batch, Z, units, Z)
        tl.debug_barrier()

        for start in range(0, M, UNITS):  # the meta cell
            units = start + tl.arange(0, UNITS)
            if projection is None:
                to_h = _tile(to_vectors, rows, batch, Z, units, Z, 1)
            else:
                to_h = _add_product(
                    zero, to_vectors, rows, batch, Z, projection, M, units, M, 1, Z, INNER, PRECISION
                )  # fmt: skip
            to_h = _add_product(  # Q does not read this state
                to_h, to_after, rows, n_after, 4 * (M + Z), of_state + H, H + M, units, M, 1, 4 * M, INNER, PRECISION
            )  # fmt: skip
            g, i, f, o = _gates(below, M, rows, batch, 4 * (M + Z), units, M)
            g, i, f, o, to_c = _cell_gradient(
                g, i, f, o,
                _tile(meta_memory, rows, batch, M, units, M, 1),
                _tile(meta_memory + word * M, rows, batch, M, units, M, 1),
                to_h, _tile(meta_carried, rows, batch, M, units, M, 1),
            )  # fmt: skip
            _put_gates(g, i, f, o, to_below, M, rows, batch, 4 * (M + Z), units, M)
            _put(to_c, meta_carried, rows, batch, M, units, M)
        tl.debug_barrier()

        n_after = batch
        grad -= word * H
        below -= word * (4 * (M + Z))
        gates -= word * H
        factors -= word * (2 * Z)
        meta_memory -= word * M
        memory -= word * H
        to_below -= word * (4 * (M + Z))
        to_gates -= word * H
        to_vectors -= word * Z


@triton.jit
def _tile(base, rows, n_rows, row, columns, n_columns, column):
    """What stands at ``rows`` and ``columns``, and 0 outside."""
    inside = (rows < n_rows)[:, None] & (columns < n_columns)[None, :]
    return tl.load(base + rows[:, None] * row + columns[None, :] * column, mask=inside, other=0.0)


@triton.jit
def _put(value, base, rows, n_rows, row, columns, n_columns):
    """Write ``value`` to ``rows`` and ``columns``, and nothing outside."""
    inside = (rows < n_rows)[:, None] & (columns < n_columns)[None, :]
    tl.store(base + rows[:, None] * row + columns[None, :], value, mask=inside)


@triton.jit
def _gates(base, gate, rows, n_rows, row, columns, n_columns):
    """A tile of each gate."""
    g = _tile(base, rows, n_rows, row, columns, n_columns, 1)
    i = _tile(base + gate, rows, n_rows, row, columns, n_columns, 1)
    f = _tile(base + 2 * gate, rows, n_rows, row, columns, n_columns, 1)
    o = _tile(base + 3 * gate, rows, n_rows, row, columns, n_columns, 1)
    return g, i, f, o


@triton.jit
def _put_gates(g, i, f, o, base, gate, rows, n_rows, row, columns, n_columns):
    """Write a tile of each gate."""
    _put(g, base, rows, n_rows, row, columns, n_columns)
    _put(i, base + gate, rows, n_rows, row, columns, n_columns)
    _put(f, base + 2 * gate, rows, n_rows, row, columns, n_columns)
    _put(o, base + 3 * gate, rows, n_rows, row, columns, n_columns)


@triton.jit
def _add_product(
    total, left, rows, n_rows, left_row, right, right_inner, units, n_units, right_unit,
    N_INNER: tl.constexpr, INNER: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """``total + left @ right``."""
    for start in range(0, N_INNER, INNER):
        inner = start + tl.arange(0, INNER)
        x = _tile(left, rows, n_rows, left_row, inner, N_INNER, 1)
        w = _tile(right, inner, N_INNER, right_inner, units, n_units, right_unit)
        total = tl.dot(x, w, total, input_precision=PRECISION)
    return total


@triton.jit
def _add_two_products(
    first, second, left, rows, n_rows, left_row, right, right_inner, units, n_units, right_unit,
    N_INNER: tl.constexpr, INNER: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """``_add_product`` with the first ``n_units`` units, and with as many after them."""
    for start in range(0, N_INNER, INNER):
        inner = start + tl.arange(0, INNER)
        x = _tile(left, rows, n_rows, left_row, inner, N_INNER, 1)
        w = _tile(right, inner, N_INNER, right_inner, units, n_units, right_unit)
        first = tl.dot(x, w, first, input_precision=PRECISION)
        w = _tile(right + n_units * right_unit, inner, N_INNER, right_inner, units, n_units, right_unit)
        second = tl.dot(x, w, second, input_precision=PRECISION)
    return first, second


@triton.jit
def _add_products(
    g, i, f, o, left, left_gate, rows, n_rows, left_row, right, right_gate, units, n_units, right_unit,
    N_INNER: tl.constexpr, INNER: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """``_add_product`` for each gate. The four advance side by side, so that there is more to load at a time."""
    for start in range(0, N_INNER, INNER):
        inner = start + tl.arange(0, INNER)
        x = _tile(left, rows, n_rows, left_row, inner, N_INNER, 1)
        w = _tile(right, inner, N_INNER, 1, units, n_units, right_unit)
        g = tl.dot(x, w, g, input_precision=PRECISION)
        x = _tile(left + left_gate, rows, n_rows, left_row, inner, N_INNER, 1)
        w = _tile(right + right_gate, inner, N_INNER, 1, units, n_units, right_unit)
        i = tl.dot(x, w, i, input_precision=PRECISION)
        x = _tile(left + 2 * left_gate, rows, n_rows, left_row, inner, N_INNER, 1)
        w = _tile(right + 2 * right_gate, inner, N_INNER, 1, units, n_units, right_unit)
        f = tl.dot(x, w, f, input_precision=PRECISION)
        x = _tile(left + 3 * left_gate, rows, n_rows, left_row, inner, N_INNER, 1)
        w = _tile(right + 3 * right_gate, inner, N_INNER, 1, units, n_units, right_unit)
        o = tl.dot(x, w, o, input_precision=PRECISION)
    return g, i, f, o


@triton.jit
def _cell(g, i, f, o, before):
    """An LSTM cell: the gates after their functions, c and h."""
    g, i, f, o = _tanh(g), tl.sigmoid(i), tl.sigmoid(f), tl.sigmoid(o)
    c = g * i + before * f
    return g, i, f, o, c, o * _tanh(c)


@triton.jit
def _cell_gradient(g, i, f, o, before, c, to_h, carried):
    """The gradients of the gates before their functions, and of c before the word."""
    squashed = _tanh(c)
    to_c = carried + to_h * o * (1.0 - squashed * squashed)
    return (
        to_c * i * (1.0 - g * g),
        to_c * g * i * (1.0 - i),
        to_c * before * f * (1.0 - f),
        to_h * squashed * o * (1.0 - o),
        to_c * f,
    )


@triton.jit
def _tanh(x):
    return 2.0 * tl.sigmoid(2.0 * x) - 1.0
