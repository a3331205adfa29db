"""A parquet column as a numpy array, of the type and width that info.json says, as in LeRobot.

Exporters store the same numbers in many ways (lists of fixed or free length, large lists, text,
dictionaries, decimals); Arrow's own safe cast turns them into the one that is declared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vibrissa.core.errors import DatasetError
from vibrissa.data.info import kind_of
from vibrissa.data.reading import Part, first_line


def as_array(column: pa.ChunkedArray, feature: Mapping[str, Any] | None = None) -> NDArray:
    """The column as (N,), or (N, …) for lists of one length.

    `feature` is what info.json says of it; its dtype is the array's. In a list of floats an
    empty number (null) is NaN: pandas stores NaN so. Raises DatasetError, without the file's name,
    for lists of several lengths, for any other value that is empty, and for values that are not
    of the dtype.
    """
    array, sizes = _plain(column.combine_chunks()), []
    while is_list(array.type):
        _refuse_empty(array, sizes)
        sizes.append(_size(array, sizes))
        array = _plain(array.flatten())
    flat = _cast(array, kind_of(feature["dtype"]) if feature else None)
    if is_number(flat.type) and not (sizes and pa.types.is_floating(flat.type)):
        _refuse_empty(flat, sizes)
    return _numpy(flat).reshape(len(column), *sizes)


def is_as_declared(part: Part, name: str, feature: Mapping[str, Any]) -> bool:
    """Whether the types in a file prove that a column is what info.json says, so that nobody need
    read it to know: no other type, no other width, nothing empty.
    """
    if name not in part.schema.names:
        return False
    kind, shape = part.schema.field(name).type, feature["shape"]
    if pa.types.is_fixed_size_list(kind):
        wide, paths = (kind.list_size,), (f"{name}.list.element", f"{name}.list.item")
        kind = kind.value_type
    else:
        wide, paths = (1,), (name,)
    nulls = [part.nulls[path] for path in paths if path in part.nulls]
    return wide == shape and kind == kind_of(feature["dtype"]) and nulls == [0]


def is_number(kind: pa.DataType) -> bool:
    """Whether an Arrow type is one of numbers, or of lists of numbers."""
    while is_list(kind) or pa.types.is_dictionary(kind) or isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind.value_type
    return (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    )


def is_list(kind: pa.DataType) -> bool:
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _plain(array: Any) -> pa.Array:
    """Without what only wraps the values: chunks, extension types, dictionaries."""
    if isinstance(array, pa.ChunkedArray):  # Arrow leaves several chunks where one is too large
        array = pa.concat_arrays(array.chunks)
    if isinstance(array, pa.ExtensionArray):
        return _plain(array.storage)
    return array.dictionary_decode() if isinstance(array, pa.DictionaryArray) else array


def _size(lists: pa.Array, outer: Sequence[int]) -> int:
    """The one length that all `lists` have; `outer` are the lengths of the lists they lie in."""
    lengths = lists.value_lengths().to_numpy(zero_copy_only=False)
    if not len(lengths):
        return int(getattr(lists.type, "list_size", 0))
    if (lengths != lengths[0]).any():
        other = int(np.argmax(lengths != lengths[0]))
        raise DatasetError(
            f"row {other // math.prod(outer)} has {lengths[other]} values, row 0 has {lengths[0]}"
        )
    return int(lengths[0])


def _refuse_empty(array: pa.Array, outer: Sequence[int]) -> None:
    if array.null_count:
        place = int(np.argmax(array.is_null().to_numpy(zero_copy_only=False)))
        raise DatasetError(f"row {place // math.prod(outer)} is empty (null)")


def _cast(array: pa.Array, kind: pa.DataType | None) -> pa.Array:
    """A flat array as `kind`, where that is given."""
    try:
        return array if kind is None or array.type == kind else array.cast(kind)
    except (pa.ArrowException, UnicodeError) as error:
        raise DatasetError(f"{array.type} is no {kind}: {first_line(error)}") from error


def _numpy(flat: pa.Array) -> NDArray:
    if pa.types.is_nested(flat.type):
        return np.array([*flat.to_pylist(), None], object)[:-1]
    return flat.to_numpy(zero_copy_only=False)
