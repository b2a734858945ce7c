import pytest

from seqmtl.errors import ConfigError
from seqmtl.specs.mixture import AnnealedSpec, MixtureSpec, ProportionalSpec, TemperatureSpec


def parse(**data):
    return MixtureSpec.parse(data, source="mixture")


def test_defaults_draw_every_row_once():
    assert parse() == MixtureSpec()
    assert parse().rates == ProportionalSpec()
    assert parse().rows_per_epoch is None


def test_each_kind_has_its_own_keys():
    assert parse(rates={"kind": "temperature"}).rates == TemperatureSpec(kind="temperature", temperature=2.0)
    assert parse(rates={"kind": "annealed", "end": 0}).rates == AnnealedSpec(kind="annealed", start=1.0, end=0.0)
    for kind in ("proportional", "uniform", "sqrt"):
        assert parse(rates={"kind": kind}).rates.kind == kind
    with pytest.raises(ConfigError, match=r"rates\.temperature: unknown key"):
        parse(rates={"kind": "uniform", "temperature": 2.0})


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({"rates": {"kind": "temprature"}}, r"rates\.kind: got 'temprature'; did you mean 'temperature'"),
        ({"rates": {"kind": "temperature", "temperature": 0}}, r"rates\.temperature: got 0"),
        ({"rates": {"kind": "weights", "weights": {"a": -1}}}, r"rates\.weights\.a: got -1"),
        ({"rates": {"kind": "weights"}}, r"rates\.weights: this key is required"),
        ({"tokens_per_batch": 0}, "tokens_per_batch: got 0"),
        ({"schedule": "random"}, "schedule: got 'random'"),
        ({"max_sentences": 0}, "max_sentences: got 0"),
        ({"rows_per_epoch": 0}, "rows_per_epoch: got 0"),
    ],
)
def test_a_bad_value_is_named_by_its_path(data, complaint):
    with pytest.raises(ConfigError, match=complaint):
        parse(**data)
