"""Make a picture of a page small: text and lines need few colours, and git keeps every version."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

COLOURS = 128
_INDEX = """async ([source, most]) => {
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const pixels = new Uint32Array(
    context.getImageData(0, 0, image.width, image.height).data.buffer);
  const counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const parts = (pixel) => [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255];
  const palette = [...counts].sort((a, b) => b[1] - a[1]).slice(0, most).map(([p]) => parts(p));
  const nearest = (pixel) => {
    const own = parts(pixel);
    let found = 0, least = Infinity;
    palette.forEach((other, index) => {
      const far = own.reduce((sum, part, i) => sum + (part - other[i]) ** 2, 0);
      if (far < least) [found, least] = [index, far];
    });
    return found;
  };
  const places = new Map([...counts.keys()].map((pixel) => [pixel, nearest(pixel)]));
  let text = "";
  for (const pixel of pixels) text += String.fromCharCode(places.get(pixel));
  return [image.width, image.height, palette.flat(), btoa(text)];
}"""


def with_few_colours(page: Page, png: bytes) -> bytes:
    """Return a picture in its most frequent colours, each other one as the nearest of them."""
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    width, height, palette, places = page.evaluate(_INDEX, [source, COLOURS])
    rows = base64.b64decode(places)
    # Each row begins with how it is filtered: not at all.
    lines = b"".join(b"\0" + rows[at : at + width] for at in range(0, len(rows), width))
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", bytes(palette)),
            _chunk(b"IDAT", zlib.compress(lines, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check
