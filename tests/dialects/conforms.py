"""Whether a value is what an SDK's published type says: strict, down to the last key."""

import collections.abc
import types
import typing

import pydantic
import typing_extensions

UNIONS = (typing.Union, types.UnionType)
WRAPPERS = (typing_extensions.Required, typing_extensions.NotRequired, typing.Required, typing.NotRequired, typing.Annotated)


class Differs(ValueError):
    """A value is not of its type."""


def conforms(value, kind, at="body", also=frozenset()):
    """Fails unless `value` is a `kind`; `also` names keys of the outermost object that are known from elsewhere."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in (object, typing.Any):
        return
    if origin in WRAPPERS:
        return conforms(value, arguments[0], at, also)
    if isinstance(kind, typing_extensions.TypeAliasType):
        return conforms(value, kind.__value__, at, also)
    if origin in UNIONS:
        return any_of(value, arguments, at, also)
    if origin in (typing.Literal, typing_extensions.Literal):
        return expect(value in arguments, f"{at}: {value!r} is none of {arguments}")
    if typing_extensions.is_typeddict(kind):
        return fields(value, kind, at, also)
    if origin in (dict, collections.abc.Mapping):
        return expect(isinstance(value, dict), f"{at}: is no object")
    if is_list(kind, origin):
        expect(isinstance(value, list), f"{at}: is no array")
        for index, item in enumerate(value):
            conforms(item, arguments[0], f"{at}[{index}]")
        return None
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        kind.model_validate(value)
        return None
    number = kind is float and isinstance(value, int) and not isinstance(value, bool)
    plain = isinstance(kind, type) and isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool)
    return expect(number or plain, f"{at}: {value!r} is no {kind}")


def is_list(kind, origin):
    if origin in (list, collections.abc.Iterable, collections.abc.Sequence):
        return True
    # The SDKs' own word for a list of strings that is not a string.
    return getattr(origin, "__name__", "") == "SequenceNotStr"


def any_of(value, kinds, at, also):
    problems = []
    for kind in kinds:
        try:
            return conforms(value, kind, at, also)
        except (Differs, pydantic.ValidationError) as problem:
            problems.append(str(problem))
    # The one that got furthest says most.
    raise Differs(max(problems, key=lambda problem: problem.count(".") + problem.count("[")))


def fields(value, kind, at, also):
    expect(isinstance(value, dict), f"{at}: is no object")
    hints = typing_extensions.get_type_hints(kind, include_extras=True)
    missing = kind.__required_keys__ - value.keys()
    expect(not missing, f"{at}: lacks {sorted(missing)}")
    extra = value.keys() - hints.keys() - also
    expect(not extra, f"{at}: has {sorted(extra)}, which {kind.__name__} doesn't know")
    for name, item in value.items():
        if name in hints:
            conforms(item, hints[name], f"{at}.{name}")


def expect(holds, problem):
    if not holds:
        raise Differs(problem)
