"""Intrinsics for kernels that compare, copy and load many bytes at an address at once.

A comparison of 32 bytes takes two or three instructions, but compilers do not find it in a loop that ends at the first
match. So it is written in LLVM's portable instructions, which name no processor. A mask has one bit per byte, and the
lowest bit stands for the first byte. Nothing is checked: `WIDTH` bytes behind the last one must be readable, or
writable.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from latxa_cli.native.layout import PADDING

WIDTH = PADDING  # bytes in a vector; one that begins at an input's last byte reaches WIDTH - 1 bytes behind the end

_BYTE, _WORD = ir.IntType(8), ir.IntType(64)
_VECTOR = ir.VectorType(_BYTE, WIDTH)


def _load(builder: Any, address: Any, kind: Any) -> Any:
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=1)


def _splat(builder: Any, value: Any) -> Any:
    """Return the vector with the same byte in every place."""
    vector = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    places = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(vector, vector, places)


def _mask(builder: Any, comparison: Any) -> Any:
    return builder.zext(builder.bitcast(comparison, ir.IntType(WIDTH)), _WORD)


@intrinsic
def byte_at(typing: Any, address: Any) -> Any:
    """Return the byte at an address, as a whole number."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.zext(_load(builder, arguments[0], _BYTE), _WORD)

    return types.int64(types.int64), build


@intrinsic
def word_at(typing: Any, address: Any) -> Any:
    """Return the eight bytes from an address as a number, the first one lowest (on a little-endian processor)."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _load(builder, arguments[0], _WORD)

    return types.uint64(types.int64), build


@intrinsic
def equal(typing: Any, address: Any, byte: Any) -> Any:
    """Return the mask of the bytes from an address that equal `byte`."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, value = arguments
        vector = _load(builder, address, _VECTOR)
        return _mask(builder, builder.icmp_unsigned("==", vector, _splat(builder, builder.trunc(value, _BYTE))))

    return types.int64(types.int64, types.int64), build


@intrinsic
def special(typing: Any, address: Any) -> Any:
    """Return the mask of the bytes from an address that are not a plain ASCII character of a JSON string.

    These are quotes, backslashes, controls, and all bytes from 128 on, which belong to longer characters.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = _load(builder, arguments[0], _VECTOR)
        quote, backslash, space = (ir.Constant(_VECTOR, [ord(character)] * WIDTH) for character in '"\\ ')
        found = builder.icmp_signed("<", vector, space)  # as signed numbers, bytes from 128 on are negative
        for other in (quote, backslash):
            found = builder.or_(found, builder.icmp_unsigned("==", vector, other))
        return _mask(builder, found)

    return types.int64(types.int64), build


@intrinsic
def copy(typing: Any, address: Any, to: Any) -> Any:
    """Copy `WIDTH` bytes from one address to another."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, to = arguments
        builder.store(_load(builder, address, _VECTOR), builder.inttoptr(to, _VECTOR.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), build


@intrinsic
def put(typing: Any, byte: Any, to: Any) -> Any:
    """Write one byte to an address."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte, to = arguments
        builder.store(builder.trunc(byte, _BYTE), builder.inttoptr(to, _BYTE.as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), build


@intrinsic
def bits(typing: Any, mask: Any) -> Any:
    """Return the number of bits that are set in `mask`."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.int64), build


@intrinsic
def lowest(typing: Any, mask: Any) -> Any:
    """Return the place of the lowest bit that is set in `mask`, or 64."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), build
