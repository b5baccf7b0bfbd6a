"""The blob: what goes in comes out by another reader, every byte has an account."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re

import numpy as np
import pytest

from tests.network_maker import integer_network, small_network
from tests.sparse_networks import by_magnitude, cut_network, published
from tinyse.errors import InputError
from tinyse.pack.c_source import arena_bytes, model_c, model_h
from tinyse.pack.files import native_files
from tinyse.pack.format import HEADER, MATRIX, Layout
from tinyse.pack.native import pack, with_checksum
from tinyse.pack.reader import read_blob
from tinyse.quant import GATES, IntegerDense, Quantisation, quantize_multiplier
from tinyse.runtimes.native import unpack

NETWORKS = {
    "odd": integer_network((7, 3, 11), (6, 9), 13, 10),
    "4x4": cut_network(integer_network((36, 20), (17,), 24, 16), by_magnitude(4, 4, 0.8)),
    "unstructured": cut_network(integer_network((36,), (), 24, 16), by_magnitude(1, 1, 0.95)),
    "one": integer_network((1,), (), 1, 1),
}


def matrices(network):
    for layer in network.layers:
        if isinstance(layer, IntegerDense):
            yield layer.kernel
        else:
            yield from (*layer.kernels, *layer.recurrents)


def arithmetic(network):
    """(ratios, one or one a row; bias; zero point of the input) of every matrix."""
    for layer in network.layers:
        if isinstance(layer, IntegerDense):
            ratios = layer.input.scale * layer.kernel_scales / layer.accumulated.scale
            ratios = np.broadcast_to(ratios, layer.units)
            yield ratios, layer.bias.astype(np.int64), layer.input.zero_point
        else:
            for scale, bias in zip(layer.kernel_scales, layer.biases, strict=True):
                ratio = layer.input.scale * scale * 2.0**12
                yield [ratio], bias.astype(np.int64), layer.input.zero_point
            for scale in layer.recurrent_scales:
                ratio = layer.hidden.scale * scale * 2.0**12
                yield [ratio], np.zeros(layer.units, np.int64), layer.hidden.zero_point


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_weights_come_out_as_they_went_in(network, layout):
    stored = read_blob(pack(network, layout).data)
    assert (stored.inputs, stored.outputs) == (network.layers[0].width, network.layers[-1].units)
    assert stored.units == tuple(layer.units for layer in network.layers)
    for found, weights in zip(stored.matrices, matrices(network), strict=True):
        assert np.array_equal(found.weights, weights)
    for found, (ratios, bias, zero) in zip(stored.matrices, arithmetic(network), strict=True):
        q, shift = np.transpose([quantize_multiplier(float(ratio)) for ratio in ratios])
        assert np.array_equal(found.q, q) and np.array_equal(found.shift, shift)
        if layout is Layout.PAIRS:
            whole = bias << (np.maximum(shift, 0) + 1)
        else:
            whole = bias - zero * found.weights.astype(np.int64).sum(axis=1)
        assert np.array_equal(0 if found.bias is None else found.bias, whole if whole.any() else 0)


@pytest.mark.parametrize("layout", Layout)
def test_the_accounts_add_up_to_the_file(layout):
    blob = pack(NETWORKS["4x4"], layout)
    assert sum(sum(parts.values()) for parts in blob.accounts.values()) == len(blob.data)


def test_90_percent_of_4x4_blocks_take_a_tenth_of_the_values():
    dense, sparse = (
        pack(net, Layout.PAIRS) for net in (published(), published(by_magnitude(4, 4, 0.9)))
    )
    values = [
        sum(parts.get("values", 0) for parts in blob.accounts.values()) for blob in (dense, sparse)
    ]
    assert 0.099 < values[1] / values[0] < 0.101
    assert len(sparse.data) < 122_000


def test_coarser_blocks_cost_what_they_hold():
    network = integer_network((64,), (), 64, 32)
    fine, coarse = (
        read_blob(pack(cut_network(network, by_magnitude(rows, 4, 0.75)), Layout.ROWS).data)
        for rows in (4, 8)
    )
    assert sum(m.tiles for m in fine.matrices) == sum(m.tiles for m in coarse.matrices)


def test_equal_networks_give_equal_bytes():
    first, second = (pack(NETWORKS["4x4"], Layout.ROWS).data for _ in range(2))
    assert first == second


def with_layer(network, **changes):
    last = dataclasses.replace(network.layers[-1], **changes)
    return dataclasses.replace(network, layers=(*network.layers[:-1], last))


def test_a_weight_of_minus_128_is_refused_by_name():
    network = small_network()
    kernel = network.layers[-1].kernel.copy()
    kernel[2, 3] = -128
    with pytest.raises(InputError, match="mask/kernel: a weight is -128"):
        pack(with_layer(network, kernel=kernel), Layout.ROWS)


def test_activations_of_16_bits_are_refused_by_name():
    accumulated = Quantisation(2.0**-10, 0, 16)
    with pytest.raises(InputError, match="mask: activations of 16 bits"):
        pack(with_layer(small_network(), accumulated=accumulated, logistic=None), Layout.ROWS)


def test_layers_beyond_the_kernels_are_refused():
    with pytest.raises(InputError, match="the kernels take 4096"):
        pack(integer_network((4,), (), 4100, 4), Layout.ROWS)


@pytest.mark.parametrize("at", [0, 5, 9, 14, 100, -70])
def test_the_reader_refuses_damage(at):
    data = bytearray(pack(small_network(), Layout.ROWS).data)
    data[at] ^= 1
    with pytest.raises(InputError):
        read_blob(bytes(data))
    assert with_checksum(bytes(data))[16:] == data[16:]


@pytest.mark.parametrize(("at", "value"), [(6, 7), (16, 255), (18, 255), (44, 255)])
def test_the_reader_refuses_records_outside_of_the_blob(at, value):
    data = bytearray(pack(small_network(), Layout.ROWS).data)
    data[at : at + 2] = bytes([value, value if at > 6 else data[at + 1]])
    with pytest.raises(InputError):
        read_blob(with_checksum(bytes(data)))


def mended(data: bytes, *changes: tuple[int, bytes]) -> bytes:
    changed = bytearray(data)
    for at, content in changes:
        changed[at : at + len(content)] = content
    return with_checksum(bytes(changed))


OUTSIDE = (1 << 31).to_bytes(4, "little")


@pytest.mark.parametrize("layout", Layout)
def test_the_reader_refuses_matrices_that_lead_outside(layout):
    data = pack(NETWORKS["4x4"], layout).data
    record = HEADER.unpack_from(data)[16]
    index = MATRIX.unpack_from(data, record)[1]
    fields = {field: OUTSIDE for field in (0, 4, 8, 16)}  # values, index, biases, multipliers
    for changes in [*((record + at, new) for at, new in fields.items()), (index + 9, b"\xff" * 4)]:
        with pytest.raises(InputError, match="blob: holds a matrix that is damaged"):
            read_blob(mended(data, changes))


def test_the_reader_refuses_pairs_that_hold_no_two_weights():
    data = pack(small_network(), Layout.PAIRS).data
    values = MATRIX.unpack_from(data, HEADER.unpack_from(data)[16])[0]
    with pytest.raises(InputError, match="holds a matrix that is damaged"):
        read_blob(mended(data, (values, (0x7FFF).to_bytes(2, "little"))))


def test_damage_behind_a_good_checksum_is_read_or_refused():
    random = np.random.default_rng(5)
    for layout in Layout:
        data = pack(NETWORKS["4x4"], layout).data
        for _ in range(150):
            at, many = int(random.integers(16, 1200)), int(random.integers(1, 5))
            with contextlib.suppress(InputError):
                read_blob(mended(data, (at, random.bytes(many))))


def test_one_multiplier_for_all_rows_is_stored_once():
    layer = small_network().layers[-1]
    one = with_layer(small_network(), kernel_scales=layer.kernel_scales[:1])
    same = with_layer(small_network(), kernel_scales=np.full(layer.units, layer.kernel_scales[0]))
    assert pack(one, Layout.ROWS).data == pack(same, Layout.ROWS).data
    assert "multipliers" not in pack(one, Layout.ROWS).accounts[layer.name]
    assert len(read_blob(pack(one, Layout.ROWS).data).matrices[-1].q) == 1


def test_c_source_holds_the_blob():
    data = pack(small_network(), Layout.PAIRS).data
    text = model_c(data)
    numbers = text.partition("{")[2].replace("\n", "").rstrip("}; ").rstrip(",").split(",")
    assert bytes(map(int, numbers)) == data
    assert f"MODEL_BYTES {len(data)}u" in model_h(data, "small")
    first, last = small_network().layers[0], small_network().layers[-1]
    assert f"MODEL_INPUTS {first.width}u" in model_h(data, "small")
    assert f"MODEL_OUTPUTS {last.units}u" in model_h(data, "small")
    for name, value in (("INPUT", first.input), ("OUTPUT", last.output)):
        (scale,) = re.findall(rf"MODEL_{name}_SCALE (\S+)f$", model_h(data, "small"), re.MULTILINE)
        assert np.float32(scale) == np.float32(value.scale)
        assert f"MODEL_{name}_ZERO ({value.zero_point})" in model_h(data, "small")
    for pointer_bytes in (4, 8):
        assert f"MODEL_ARENA_BYTES {arena_bytes(data, pointer_bytes)}u" in model_h(data, "small")


@pytest.mark.parametrize("scale", [1.0, 2.0**-20, 1 / 3, 3.4e38, 1e-7, 16777216.0])
def test_a_scale_in_c_is_the_float_of_the_blob(scale):
    """Also where its digits alone would be an integer, which takes no f."""
    data = bytearray(pack(small_network(), Layout.PAIRS).data)
    data[24:28] = np.float32(scale).tobytes()
    (found,) = re.findall(r"MODEL_INPUT_SCALE (\S+)f$", model_h(bytes(data), "s"), re.MULTILINE)
    assert re.search(r"[.e]", found) and np.float32(found) == np.float32(scale)


def test_a_name_cannot_leave_its_comment():
    text = model_h(pack(small_network(), Layout.PAIRS).data, "x */\n#error owned\n/* é")
    ends = [line.count("*/") for line in text.splitlines()]
    assert ends[0] == 1 and sum(ends) == text.count("/*") and "#error" not in text.splitlines()[1:]
    assert text.isascii() and text.splitlines()[0].startswith("/* x __")


def test_files_of_an_export():
    files = native_files(small_network(), "m55")
    assert set(files) == {"model.tsb", "model_coded.tsb", "model.c", "model.h", "pack.json"}
    assert "model_coded.tsb" not in native_files(small_network(), "host")


def test_an_export_says_what_its_coded_form_unpacks_to():
    """Of single zeros every tile is stored: that codes shorter and unpacks to more."""
    files = native_files(cut_network(integer_network((64,)), by_magnitude(1, 1, 0.95)), "m4")
    counts, header = json.loads(files["pack.json"])["bytes"], files["model.h"].decode()
    plain = len(unpack(files["model_coded.tsb"]))
    assert counts["native_unpacked"] == plain > counts["native"]
    assert f"MODEL_UNPACKED_BYTES {plain}u" in header
    assert f"MODEL_CODED_BYTES {counts['native_coded']}u" in header


def slow(network, target):
    return json.loads(native_files(network, target)["pack.json"])["slow"]


def test_an_export_names_the_matrices_that_no_fast_loop_takes():
    network = integer_network((4,), (), 600, 4)
    assert not any(slow(network, target) for target in ("m4", "m55", "host"))
    first = network.layers[0]
    widest = np.full_like(first.kernels[1], 127)  # its sums leave 2^23
    changed = dataclasses.replace(first, kernels=(first.kernels[0], widest, *first.kernels[2:]))
    wide = dataclasses.replace(network, layers=(changed, *network.layers[1:]))
    for target in ("m4", "m55", "host"):
        assert slow(wide, target) == [f"{first.name}/forget_gate/kernel"]


def test_what_smlad_and_mve_do_not_take_is_named_too():
    """Far left shifts; recurrent weights with a bias, which the state's zero point makes."""
    network = small_network()
    scales = 2.0**8 * network.layers[-1].accumulated.scale / network.layers[-1].input.scale
    left = with_layer(network, kernel_scales=np.array([scales]), bias=0 * network.layers[-1].bias)
    assert slow(left, "m4") == ["mask/kernel"] and not slow(left, "m55")
    first = network.layers[0]
    shifted = dataclasses.replace(first, hidden=dataclasses.replace(first.hidden, zero_point=3))
    network = dataclasses.replace(network, layers=(shifted, *network.layers[1:]))
    names = [f"{first.name}/{gate}_gate/recurrent" for gate in GATES]
    assert slow(network, "m55") == names and not slow(network, "m4")


def test_an_export_prints_what_is_slow(capsys):
    from tinyse.cli.export import _print_account

    account = json.loads(native_files(small_network(), "m4")["pack.json"])
    _print_account(account, 1)
    assert "slow" not in capsys.readouterr().out
    _print_account(account | {"slow": ["mask/kernel", "lstm_0/cell_gate/recurrent"]}, 1)
    assert "mask/kernel, lstm_0/cell_gate/recurrent" in capsys.readouterr().out.splitlines()[-1]
