"""The base of every spec: frozen, strict, and with errors that name the path of the bad key."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, get_args

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
    keys, owner = _walk(spec, data, problem["loc"])
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


def _walk(spec: type[BaseModel], data: Any, loc: tuple[int | str, ...]) -> tuple[list[str], type[BaseModel] | None]:
    """Return the keys of ``loc`` as a person wrote them (without union tags) and the spec that owns the last one."""
    keys: list[str] = []
    owner: type[BaseModel] | None = spec
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        present = (isinstance(data, Mapping) and part in data) or (isinstance(data, list) and isinstance(part, int))
        if not present and not last:  # a union tag, which pydantic puts into the location
            owner = _variant(owner, str(part)) or owner
            continue
        keys.append(str(part))
        if last:
            break
        owner = _field(owner, str(part))
        data = data[part] if present else None  # type: ignore[index]  # a mapping or a list, as `present` says
    return keys, owner


def _field(owner: Any, name: str) -> Any:
    """The annotation of field ``name`` of a spec, or the value type of a mapping or list."""
    if isinstance(owner, type) and issubclass(owner, BaseModel):
        return owner.model_fields[name].annotation if name in owner.model_fields else None
    values = [arg for arg in get_args(owner) if arg is not type(None)]
    return values[-1] if values else None


def _variant(owner: Any, tag: str) -> Any:
    """The member of a union whose ``kind`` is ``tag``."""
    for member in _members(owner):
        kind = member.model_fields.get("kind")
        if kind is not None and tag in get_args(kind.annotation):
            return member
    return None


def _members(owner: Any) -> list[Any]:
    if isinstance(owner, type) and issubclass(owner, BaseModel):
        return [owner]
    return [member for arg in get_args(owner) for member in _members(arg)]
