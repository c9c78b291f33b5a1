"""QR codes and CODE128 barcodes as SVG and PNG."""

import io
import re

import barcode
import qrcode
from barcode.writer import SVGWriter
from qrcode.image.svg import SvgPathImage


def qr_svg(text: str, border: int = 0) -> str:
    """Return a QR code as an SVG element that fills its parent."""
    code = qrcode.QRCode(border=border, image_factory=SvgPathImage, box_size=10)
    code.add_data(text)
    svg = code.make_image().to_string(encoding="unicode")
    return _strip(svg)


def qr_png(text: str) -> bytes:
    """Return a QR code as a PNG file."""
    code = qrcode.QRCode(border=4, box_size=10)
    code.add_data(text)
    stream = io.BytesIO()
    code.make_image().save(stream, "PNG")
    return stream.getvalue()


def barcode_svg(text: str) -> str:
    """Return a CODE128 barcode as an SVG element, or nothing for what it cannot say."""
    if not text.isascii() or not text.isprintable():
        return ""
    stream = io.BytesIO()
    options = {"write_text": False, "quiet_zone": 6, "module_height": 18}
    barcode.get("code128", text, writer=SVGWriter()).write(stream, options)
    return _scalable(_strip(stream.getvalue().decode()))


def _scalable(svg: str) -> str:
    """Turn millimetres into a view box, so that the page decides on the size."""
    width, height = re.findall(r'(?:width|height)="([\d.]+)mm"', svg)[:2]
    head, rest = svg.split(">", 1)
    head = re.sub(r'(width|height)="[\d.]+mm"', r'\1="100%"', head)
    head += f' viewBox="0 0 {width} {height}" preserveAspectRatio="none"'
    return head + ">" + re.sub(r"([0-9.]+)mm", r"\1", rest)


def _strip(svg: str) -> str:
    """Leave out the XML declaration, so that the SVG can stand in a page."""
    return svg[svg.index("<svg") :]
