from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError, model_validator

from seqmtl.errors import ConfigError
from seqmtl.specs.base import Spec


class Circle(Spec):
    kind: Literal["circle"]
    radius: float = Field(ge=0.0)


class Square(Spec):
    kind: Literal["square"]
    side: float = 1.0

    @model_validator(mode="after")
    def _is_not_13(self):
        if self.side == 13:
            raise ValueError("13 brings bad luck")
        return self


class Picture(Spec):
    name: str
    main: Annotated[Circle | Square, Field(discriminator="kind")] = Square(kind="square")
    others: dict[str, Annotated[Circle | Square, Field(discriminator="kind")]] = Field(default={})
    row: tuple[Square, ...] = ()
    plain: int | dict[str, float] = 0
    maybe: Square | None = None
    size: int = Field(default=1, alias="scale")


def message(**data):
    with pytest.raises(ConfigError) as caught:
        Picture.parse(data, source="file.yaml")
    text = str(caught.value)
    assert text.startswith("file.yaml: ")
    return text.removeprefix("file.yaml: ")


def test_what_is_right_is_parsed_and_frozen():
    picture = Picture.parse({"name": "x", "others": {"a": {"kind": "circle", "radius": 2}}}, source="file.yaml")
    assert picture.others["a"] == Circle(kind="circle", radius=2.0)
    with pytest.raises(ValidationError):
        picture.name = "y"


def test_an_unknown_key_offers_the_nearest_name():
    assert message(nam="x", name="x") == "nam: unknown key; did you mean 'name'?"
    assert message(name="x", scal=2) == "scal: unknown key; did you mean 'scale'?"  # a person writes the alias


def test_an_unknown_key_deep_inside_is_named_by_its_path_without_union_tags():
    assert message(name="x", main={"kind": "circle", "radius": 1, "raduis": 2}) == (
        "main.raduis: unknown key; did you mean 'radius'?"
    )
    assert message(name="x", others={"circle": {"kind": "square", "sides": 2}}) == (
        "others.circle.sides: unknown key; did you mean 'side'?"
    )
    assert message(name="x", row=[{"kind": "square"}, {"kind": "square", "sode": 1}]) == (
        "row.1.sode: unknown key; did you mean 'side'?"
    )


def test_a_tag_that_is_also_a_key_does_not_mislead():
    assert message(name="x", others={"square": {"kind": "square", "side": "?"}}).startswith(
        "others.square.side: got '?'"
    )
    assert message(name="x", plain=[]).startswith("plain: got []")  # neither branch of a union without tags is a key
    assert message(name="x", maybe={"kind": "square", "sid": 1}) == "maybe.sid: unknown key; did you mean 'side'?"


def test_a_missing_key_is_named():
    assert message() == "name: this key is required"
    assert message(name="x", main={"kind": "circle"}) == "main.radius: this key is required"


def test_an_unknown_kind_offers_the_nearest_and_a_missing_one_says_so():
    assert message(name="x", main={"kind": "cirle"}) == "main.kind: got 'cirle'; did you mean 'circle'?"
    assert message(name="x", main={"side": 1}) == "main: needs the key 'kind', which says which variant is meant"


def test_a_bad_value_is_shown_with_what_it_may_be():
    assert message(name="x", main={"kind": "circle", "radius": -1}) == (
        "main.radius: got -1; Input should be greater than or equal to 0"
    )


def test_a_rule_of_ours_speaks_for_itself():
    assert message(name="x", main={"kind": "square", "side": 13}) == "main: 13 brings bad luck"


def test_every_bad_key_has_a_line():
    text = message(nam="x", main={"kind": "circle"})
    assert len(text.splitlines()) == 3  # name is missing, main.radius is missing, nam is unknown
