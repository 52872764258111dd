"""A task's image: checked, reduced to its pixels, stored under a random name, taken away again.

Nothing of the file that was sent is kept: it is decoded and encoded anew. The image is no part of the
prompt's hash, which is of its text and examples alone: giving one to a task, or taking it away, changes
neither which tasks are the same nor on which side of the split a task is.
"""

from __future__ import annotations

import secrets
from io import BytesIO
from typing import IO

from django.core.files.base import ContentFile
from django.core.files.storage import Storage
from django.db import transaction
from django.utils.translation import gettext as _
from PIL import Image, ImageOps

from annotator.models import Prompt
from annotator.prompts.cleaning import strip_text
from annotator.ranking import queue

MAX_BYTES = 5 * 1024 * 1024
MAX_PIXELS = 20_000_000
MAX_SCANS = 100
"""Of a progressive JPEG: a small file may ask for the whole picture to be decoded thousands of times."""
TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}
"""The endings of stored files, and what they are served as."""
_ENDINGS = {"PNG": "png", "JPEG": "jpg", "MPO": "jpg", "WEBP": "webp"}  # MPO: a JPEG with a second picture
_SAVED_AS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}


class ImageProblem(ValueError):
    """What is wrong with an image or its description; `field` says with which of them."""

    def __init__(self, message: str, field: str = "file") -> None:
        self.field = field
        super().__init__(message)


def put(prompt: Prompt, *, text: str, file: IO[bytes] | None = None) -> None:
    """Give the task an image and say what it shows; without a file, change only what is said.

    Raises ImageProblem, and then changes nothing. The image that was there goes when this is committed.
    """
    text = strip_text(text)
    if not text:
        raise ImageProblem(_("Say what the image shows, for people who cannot see it."), "image_text")
    if len(text) > 2000:
        raise ImageProblem(_("The description has more than 2,000 characters."), "image_text")
    content, ending = pixels_of(file) if file else (b"", "")
    storage = prompt.image.storage
    name = ""
    try:
        with transaction.atomic():
            row = queue.locked(Prompt.objects.filter(pk=prompt.pk)).get()
            if content:
                path = f"{Prompt.image.field.upload_to}{secrets.token_hex(16)}.{ending}"
                name = storage.save(path, ContentFile(content))
                _delete_on_commit(storage, row.image.name)
            elif not row.image:
                raise ImageProblem(_("Choose an image."))
            _store(prompt, name or row.image.name, text)
    except BaseException:
        if name:
            storage.delete(name)
        raise


@transaction.atomic
def remove(prompt: Prompt) -> bool:
    """Take the task's image away; whether it had one. The file goes when this is committed."""
    row = queue.locked(Prompt.objects.filter(pk=prompt.pk)).get()
    _delete_on_commit(row.image.storage, row.image.name)
    had_one = bool(row.image)
    _store(prompt, "", "")
    return had_one


def pixels_of(file: IO[bytes]) -> tuple[bytes, str]:
    """The picture encoded anew, upright and without anything beside its pixels, and the ending for its kind.

    Raises ImageProblem on what is not one whole PNG, JPEG or WebP picture within the limits.
    """
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ImageProblem(_("The file is larger than 5 MB. Make the image smaller and try again."))
    try:
        image = Image.open(BytesIO(content), formats=["PNG", "JPEG", "WEBP"])
    except Image.DecompressionBombError:
        raise ImageProblem(_too_large()) from None
    except Exception as error:  # the decoders raise whatever they stumble over
        raise ImageProblem(_("The file is not a PNG, JPEG or WebP image.")) from error
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise ImageProblem(_too_large())
        ending = _ENDINGS[image.format or ""]
        if ending != "jpg" and getattr(image, "n_frames", 1) > 1:
            raise ImageProblem(_("The image is animated. Take one with a single picture."))
        # Within a picture's data 0xFF is always escaped, so that these bytes begin a scan.
        if ending == "jpg" and content.count(b"\xff\xda") > MAX_SCANS:
            raise ImageProblem(_("The image is built of too many layers. Save it again as a simple JPEG."))
        try:
            return _encoded(image, ending), ending
        except Exception as error:
            raise ImageProblem(_("The image is damaged or cut off. Save it again and try again.")) from error


def _encoded(image: Image.Image, ending: str) -> bytes:
    image.load()
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):  # 16 bits of grey, which `convert` would clip instead of scale
        upright = upright.convert("I").point(lambda value: value * (1 / 256) + 0)
    plain = upright.convert("RGBA" if ending != "jpg" and upright.has_transparency_data else "RGB")
    plain.info.clear()  # comments, profiles, resolutions: the encoders would write them again
    out = BytesIO()
    options = {"png": {}, "jpg": {"quality": 90}, "webp": {"quality": 90}}[ending]
    plain.save(out, _SAVED_AS[ending], **options)
    return out.getvalue()


def _too_large() -> str:
    return _("The image has more than 20 million pixels. Make it smaller and try again.")


def _store(prompt: Prompt, name: str, text: str) -> None:
    Prompt.objects.filter(pk=prompt.pk).update(image=name, image_text=text)
    prompt.image, prompt.image_text = name, text


def _delete_on_commit(storage: Storage, name: str) -> None:
    if name:
        transaction.on_commit(lambda: storage.delete(name))
