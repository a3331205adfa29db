"""Messages as a stranger may send them: near good ones, by hypothesis, and good ones by hand."""

from __future__ import annotations

import base64
import json
from typing import Any

import cv2
import numpy as np
from hypothesis import strategies as st

WIDTH, HEIGHT = 48, 32


def encoded(kind: str = ".jpg", width: int = WIDTH, height: int = HEIGHT, grey: int = 90) -> bytes:
    """One plain picture's file."""
    fine, data = cv2.imencode(kind, np.full((height, width, 3), grey, np.uint8))
    assert fine
    return data.tobytes()


def message(picture: bytes | None = None, camera: str = "eye", **more: Any) -> bytes:
    """A good message of one camera, with whatever else is wanted in it."""
    image = base64.b64encode(encoded() if picture is None else picture).decode()
    return json.dumps({"images": {camera: image}, **more}).encode()


def announcing(width: int, height: int, picture: bytes | None = None) -> bytes:
    """A JPEG whose head announces another size than its bytes hold."""
    data = bytearray(encoded() if picture is None else picture)
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = height.to_bytes(2) + width.to_bytes(2)
    return bytes(data)


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.sampled_from([10**400, -1, 0, 2**63, 2**63 - 1])
    | st.floats()
    | st.text(max_size=8)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4) | st.just("eye"), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` cut short, with bytes changed, put in or left out."""
    spoilt = bytearray(data)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(spoilt) - 1)))
        what = draw(st.sampled_from(["change", "insert", "remove", "cut"]))
        if what == "change" and spoilt:
            spoilt[at] = draw(st.integers(0, 255))
        elif what == "insert":
            spoilt[at:at] = draw(st.binary(max_size=6))
        elif what == "remove":
            del spoilt[at : at + draw(st.integers(1, 40))]
        elif what == "cut":
            del spoilt[at:]
    return bytes(spoilt)


pictures = st.one_of(
    damaged(encoded()),
    damaged(encoded(".png")),
    st.builds(announcing, st.integers(0, 65535), st.integers(0, 65535)),
    st.sampled_from([encoded(".jpg", 16, 8), encoded(".bmp"), encoded(".webp"), b""]),
    st.binary(max_size=40),
)
images = pictures.map(lambda data: base64.b64encode(data).decode()) | values
camera_objects = st.fixed_dictionaries(
    {},
    optional={
        "images": st.dictionaries(st.just("eye") | st.text(max_size=4), images, max_size=2)
        | values,
        "sequence": st.fixed_dictionaries({"eye": values}) | values,
        "monotonic_s": st.fixed_dictionaries({"eye": values}) | values,
        "timestamps": values,
    },
)
_texts = (camera_objects | values).map(lambda v: json.dumps(v).encode())
camera_messages = st.one_of(
    _texts,
    _texts.flatmap(damaged),
    damaged(message(sequence={"eye": 3}, monotonic_s={"eye": 1.5})),
    st.binary(max_size=60),
    st.integers(1, 60_000).map(lambda deep: b"[" * deep),
    st.integers(1, 60_000).map(lambda deep: b'{"images":' * deep),
    st.text(max_size=20).map(lambda text: text.encode("utf-16")),
)
