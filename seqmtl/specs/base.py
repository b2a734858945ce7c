"""The base of every spec: frozen, strict, and with errors that name the path of the bad key."""

from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from seqmtl.errors import ConfigError, nearest


class Spec(BaseModel):
    """A frozen description of something that a person asks for; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    @classmethod
    def parse(cls, data: Mapping[str, Any], *, source: str | Path) -> Self:
        """Validate ``data``, which was read from ``source``.

        Raises:
            ConfigError: with one line per bad key: its path, what it got, what it may be, and the nearest known name.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            lines = [_explain(cls, data, problem) for problem in error.errors()]
            raise ConfigError(f"{source}: " + "\n".join(lines)) from None


def _explain(spec: type[BaseModel], data: Any, problem: Any) -> str:
    """One line for one pydantic problem."""
    keys, owner = _walk(spec, data, problem["loc"], names_a_key=problem["type"] in ("missing", "extra_forbidden"))
    path = ".".join(keys) or "the top level"
    if problem["type"] == "extra_forbidden":
        fields = [field.alias or name for name, field in owner.model_fields.items()] if owner else []
        return f"{path}: unknown key; {nearest(keys[-1], fields)}"
    if problem["type"] == "missing":
        return f"{path}: this key is required"
    if problem["type"] == "union_tag_invalid":
        tags = [tag.strip(" '") for tag in problem["ctx"]["expected_tags"].split(",")]
        return f"{path}.kind: got {problem['ctx']['tag']!r}; {nearest(problem['ctx']['tag'], tags)}"
    if problem["type"] == "union_tag_not_found":
        return f"{path}: needs the key 'kind', which says which variant is meant"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return f"{path}: {message}"
    return f"{path}: got {problem['input']!r}; {message}"


def _walk(
    spec: type[BaseModel], data: Any, loc: tuple[int | str, ...], *, names_a_key: bool
) -> tuple[list[str], type[BaseModel] | None]:
    """Return the keys of ``loc`` as a person wrote them, and the spec that owns the last one.

    Pydantic puts into the location, beside keys, the tag of each union that it passes and the type of a union without
    tags. The former are told from keys by the annotation, the latter by not being in ``data``; but the last part
    is a key although it is not there when ``names_a_key``.
    """
    keys: list[str] = []
    owner: Any = spec  # the annotation of what `data` holds
    for position, part in enumerate(loc):
        variant = _variant(owner, str(part))
        if variant is not None:
            owner = variant
            continue
        last = position == len(loc) - 1
        if not _holds(data, part) and not (last and names_a_key):
            continue
        keys.append(str(part))
        if last:
            break
        owner = _inside(owner, str(part))
        data = data[part]
    owners = [option for option in _alternatives(owner) if _is_spec(option)]
    return keys, owners[0] if owners else None


def _holds(data: Any, part: int | str) -> bool:
    """Whether a mapping has the key, or a list was meant to have the position."""
    return part in data if isinstance(data, Mapping) else isinstance(data, list) and isinstance(part, int)


def _variant(owner: Any, tag: str) -> Any:
    """The member of a union of specs whose ``kind`` is ``tag``; None when ``owner`` is no such union."""
    members = [option for option in _alternatives(owner) if _is_spec(option)]
    for member in members if len(members) > 1 else ():
        kind = member.model_fields.get("kind")
        if kind is not None and tag in get_args(kind.annotation):
            return member
    return None


def _inside(owner: Any, key: str) -> Any:
    """The annotation of field ``key`` of a spec, or of the values of a mapping or list."""
    for option in _alternatives(owner):
        if _is_spec(option) and key in option.model_fields:
            return option.model_fields[key].annotation
        if get_origin(option) in (dict, list, tuple):
            return [arg for arg in get_args(option) if arg is not Ellipsis][-1]
    return None


def _alternatives(owner: Any) -> list[Any]:
    """The members of a union, or the annotation itself, without ``Annotated``."""
    if get_origin(owner) is Annotated:
        return _alternatives(get_args(owner)[0])
    if get_origin(owner) in (Union, UnionType):
        return [option for arg in get_args(owner) for option in _alternatives(arg)]
    return [owner]


def _is_spec(option: Any) -> bool:
    return isinstance(option, type) and issubclass(option, BaseModel)
