"""What comes in as a task's image, and what is kept of it: pixels, and nothing else."""

import io
import re
import struct
import zlib

import pytest
from django.core.files.storage import default_storage
from django.db import transaction
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from annotator.prompts import images
from annotator.prompts.images import ImageProblem, pixels_of
from tests.factories import make_prompt

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
HTML = b"<!doctype html><script>alert(1)</script>"


def encoded(kind="PNG", size=(4, 2), mode="RGB", colour="red", **options):
    out = io.BytesIO()
    Image.new(mode, size, colour).save(out, kind, **options)
    return out.getvalue()


def noise(kind, size=(64, 64)):
    out = io.BytesIO()
    Image.effect_noise(size, 50).convert("RGB").save(out, kind)
    return out.getvalue()


def animated(kind):
    out = io.BytesIO()
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    return out.getvalue()


def png_that_claims(width, height):
    """A PNG of some bytes whose header promises so many pixels."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def read(content):
    data, ending = pixels_of(io.BytesIO(content))
    return Image.open(io.BytesIO(data)), data, ending


@pytest.mark.parametrize(("kind", "ending"), [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp")])
def test_three_kinds_come_in_and_stay_what_they_are(kind, ending):
    image, _, given = read(encoded(kind))
    assert (image.format, given, image.size) == (kind, ending, (4, 2))


@pytest.mark.parametrize(
    "content",
    [
        SVG,
        HTML,
        b"",
        b"%PDF-1.7",
        encoded("GIF"),
        encoded("BMP"),
        encoded("TIFF"),
        b"\x89PNG\r\n\x1a\n" + HTML,
    ],
    ids=["svg", "html", "empty", "pdf", "gif", "bmp", "tiff", "html behind a PNG's first bytes"],
)
def test_anything_else_is_refused(content):
    with pytest.raises(ImageProblem, match="not a PNG, JPEG or WebP"):
        pixels_of(io.BytesIO(content))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_of_a_polyglot_only_the_picture_is_kept(kind):
    _, data, _ = read(encoded(kind) + HTML + b"PK\x05\x06" + bytes(18))
    assert b"script" not in data and b"PK\x05\x06" not in data


@pytest.mark.parametrize("size", [(50_000, 50_000), (10_000, 10_000), (5_000, 4_001)])
def test_a_bomb_is_refused_by_its_header(size):
    with pytest.raises(ImageProblem, match="more than 20 million pixels"):
        pixels_of(io.BytesIO(png_that_claims(*size)))


def test_too_many_bytes_are_refused():
    with pytest.raises(ImageProblem, match="larger than 5 MB"):
        pixels_of(io.BytesIO(encoded() + bytes(images.MAX_BYTES)))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_file_that_is_cut_off_is_refused(kind):
    whole = noise(kind)
    with pytest.raises(ImageProblem):
        pixels_of(io.BytesIO(whole[: len(whole) // 2]))


def test_a_damaged_file_is_refused():
    whole = bytearray(noise("PNG"))
    whole[len(whole) // 2] ^= 0xFF
    with pytest.raises(ImageProblem, match="damaged"):
        pixels_of(io.BytesIO(bytes(whole)))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_refused(kind):
    with pytest.raises(ImageProblem, match="animated"):
        pixels_of(io.BytesIO(animated(kind)))


def test_a_jpeg_of_countless_scans_is_refused():
    content = encoded("JPEG", progressive=True)
    scan = content.rindex(b"\xff\xda")
    again = content[scan:-2] * 200
    with pytest.raises(ImageProblem, match="layers"):
        pixels_of(io.BytesIO(content[:-2] + again + b"\xff\xd9"))


def test_a_phones_two_pictures_in_one_jpeg_give_the_first():
    out = io.BytesIO()
    Image.new("RGB", (8, 4), "red").save(
        out, "MPO", save_all=True, append_images=[Image.new("RGB", (2, 2), "blue")]
    )
    image, _, ending = read(out.getvalue())
    assert (image.format, image.size, ending) == ("JPEG", (8, 4), "jpg")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_the_picture_is_turned_upright_and_all_else_dropped(kind):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° clockwise to see it upright
    exif[0x010E] = "where I live"
    exif.get_ifd(0x8825)[1] = "N"
    options = {"exif": exif, "icc_profile": b"a profile" * 20}
    if kind == "PNG":
        words = PngInfo()
        words.add_text("Comment", "a secret")
        options["pnginfo"] = words
    elif kind == "JPEG":
        options["comment"] = b"a secret"
    image, data, _ = read(encoded(kind, **options))
    assert image.size == (2, 4)
    assert not image.getexif() and "icc_profile" not in image.info
    assert not re.search(rb"where I live|a profile|a secret|Exif|iCCP", data)


def test_a_corner_is_where_it_belongs():
    source = Image.new("RGB", (40, 20), "white")
    source.paste("black", (0, 0, 10, 10))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    out = io.BytesIO()
    source.save(out, "PNG", exif=exif)
    image, _, _ = read(out.getvalue())
    assert (image.getpixel((35, 15)), image.getpixel((5, 5))) == ((0, 0, 0), (255, 255, 255))


@pytest.mark.parametrize(
    ("mode", "colour", "shown"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 128, (128, 128, 128)),
        ("P", 0, (0, 0, 0)),
        ("I;16", 32_768, (128, 128, 128)),
        ("RGBA", (10, 20, 30, 40), (10, 20, 30, 40)),
        ("LA", (128, 7), (128, 128, 128, 7)),
    ],
)
def test_every_kind_of_png_keeps_its_colours(mode, colour, shown):
    image, _, _ = read(encoded(mode=mode, colour=colour))
    assert image.getpixel((0, 0)) == shown


def test_a_printers_jpeg_is_shown_in_screen_colours():
    image, _, _ = read(encoded("JPEG", mode="CMYK", colour=(0, 0, 0, 0)))
    assert image.mode == "RGB" and min(image.getpixel((0, 0))) > 250


# ---- stored ----


@pytest.fixture
def task(project):
    return make_prompt(project)


def put(task, content=None, text="A red field"):
    images.put(task, text=text, file=io.BytesIO(content) if content else None)
    task.refresh_from_db()
    return task.image.name


@pytest.mark.django_db
def test_its_name_is_random_and_its_hash_stays(task):
    before = (task.hash, task.is_held_out)
    name = put(task, encoded())
    assert re.fullmatch(r"prompts/[0-9a-f]{32}\.png", name)
    assert default_storage.exists(name)
    assert (task.hash, task.is_held_out) == before
    task.save()
    assert (task.hash, task.is_held_out) == before
    assert put(task, encoded()) != name


@pytest.mark.django_db
def test_an_image_needs_words_and_words_an_image(task):
    with pytest.raises(ImageProblem) as caught:
        put(task, encoded(), text=" \n\u202e")
    assert caught.value.field == "image_text"
    with pytest.raises(ImageProblem) as caught:
        put(task, text="Nothing to see")
    assert caught.value.field == "file"
    with pytest.raises(ImageProblem, match=r"2,000"):
        put(task, encoded(), text="x" * 2001)
    task.refresh_from_db()
    assert (task.image.name, task.image_text) == ("", "")


@pytest.mark.django_db
def test_words_change_without_a_new_file(task):
    name = put(task, encoded())
    assert put(task, text="A field in red") == name
    assert task.image_text == "A field in red"


@pytest.mark.django_db
def test_the_old_file_goes_on_commit(task, django_capture_on_commit_callbacks):
    old = put(task, encoded())
    with django_capture_on_commit_callbacks() as callbacks:
        new = put(task, encoded("JPEG"))
    assert default_storage.exists(old)  # until the commit
    for callback in callbacks:
        callback()
    assert (default_storage.exists(old), default_storage.exists(new)) == (False, True)
    with django_capture_on_commit_callbacks(execute=True):
        assert images.remove(task)
    assert not default_storage.exists(new)
    task.refresh_from_db()
    assert (task.image.name, task.image_text) == ("", "")
    assert not images.remove(task)


@pytest.mark.django_db
def test_a_refused_image_leaves_the_old_one(task, django_capture_on_commit_callbacks):
    name = put(task, encoded())
    with django_capture_on_commit_callbacks(execute=True), pytest.raises(ImageProblem):
        put(task, SVG, text="Another")
    task.refresh_from_db()
    assert (task.image.name, task.image_text) == (name, "A red field")
    assert default_storage.exists(name)


@pytest.mark.django_db
def test_where_the_row_cannot_be_written_no_file_stays(task, monkeypatch):
    class Broken(RuntimeError):
        pass

    def fail(*_args):
        raise Broken

    monkeypatch.setattr(images, "_store", fail)
    before = set(default_storage.listdir("prompts")[1]) if default_storage.exists("prompts") else set()
    with pytest.raises(Broken), transaction.atomic():
        put(task, encoded())
    assert set(default_storage.listdir("prompts")[1]) == before
