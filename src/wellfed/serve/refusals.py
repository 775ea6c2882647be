"""What the API and its guard say themselves: error objects in the language of whoever asked; `kind` stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from wellfed.message import Message, message
from wellfed.messages.words import words

if TYPE_CHECKING:
    from fastapi.responses import JSONResponse
    from pydantic import ValidationError

Said: TypeAlias = Message | str

FILE_NAMED = message("serve.file-named", "a file of the server cannot be named")
FILE_HINT = message("serve.file-named.hint", "upload it or paste its text")
NOT_LOCAL = message("page.not-local", "this machine is not told beyond loopback")
NOT_LOCAL_HINT = message("page.not-local.hint", "write a machine in a line")
BUSY = message("serve.busy", "too many questions wait already")
BUSY_HINT = message("serve.busy.hint", "ask again in some seconds")
WORKER_GONE = message("serve.worker-gone", "the process that computed the answer ended")
WORKER_GONE_HINT = message("serve.worker-gone.hint", "ask again")
INTERRUPTED = message("serve.interrupted", "nobody waits for the answer")
OTHER_HOST = message("serve.other-host", "this name is not the server's: ask it by the address it printed")
OTHER_PAGE = message("serve.other-page", "another page may not ask")
NO_TOKEN = message("serve.no-token", "a token is wanted")
NO_TOKEN_HINT = message("serve.no-token.hint", "send it as a header, Authorization: Bearer TOKEN")


def late(seconds: float) -> Message:
    """An answer that took too long."""
    return message("serve.late", "no answer within {seconds} s; its computing was ended", seconds=f"{seconds:.0f}")


def large(mebibytes: int) -> Message:
    """A body that is not read."""
    return message("serve.large", "at most {size} MiB are taken", size=mebibytes)


def slow(seconds: float) -> Message:
    """A body that does not come."""
    return message("serve.slow-body", "the body was not sent within {seconds} s", seconds=f"{seconds:.0f}")


def error_object(language: str, kind: str, sentence: Said, hint: Said | None = None) -> dict[str, str | None]:
    """Kind, message and hint, as every refusal has them."""
    return {
        "kind": kind,
        "message": words(sentence, language),
        "hint": None if hint is None else words(hint, language),
    }


def error(language: str, status: int, kind: str, sentence: Said, hint: Said | None = None) -> JSONResponse:
    """An error object with its status."""
    from fastapi.responses import JSONResponse

    return JSONResponse({"error": error_object(language, kind, sentence, hint)}, status)


class Refused(Exception):
    """A request that no worker is asked: its status, a kind for programs, a sentence, what to do."""

    def __init__(self, status: int, kind: str, problem: Said, hint: Said | None = None) -> None:
        super().__init__(str(problem))
        self.status, self.kind, self.message, self.hint = status, kind, problem, hint

    def response(self, language: str) -> JSONResponse:
        """The refusal as an HTTP response with an error object."""
        return error(language, self.status, self.kind, self.message, self.hint)


def file_named(field: str) -> Refused:
    """A field that would name a path here."""
    sentence = message("serve.field-file", "{field}: {what}", field=field, what=FILE_NAMED)
    return Refused(403, "forbidden", sentence, FILE_HINT)


def not_valid(error: ValidationError) -> Refused:
    """The first thing that is wrong with a request's fields."""
    first = error.errors()[0]
    field = str(first["loc"][0]) if first["loc"] else "body"
    return Refused(422, "bad-input", _wrong(field, first["type"], first.get("ctx", {}), first["msg"]))


def _wrong(field: str, kind: str, context: dict[str, Any], why: str) -> Message:
    """A complaint of pydantic's in our words, by its stable type; those not listed stay as they are."""
    match kind:
        case "missing":
            return message("serve.missing", "the field {field} is missing", field=field)
        case "extra_forbidden":
            return message("serve.no-field", "there is no field {field}", field=field)
        case "int_type" | "int_parsing" | "int_from_float" | "int_parsing_size":
            return message("serve.whole", "{field} must be a whole number", field=field)
        case "float_type" | "float_parsing" | "finite_number":
            return message("serve.number", "{field} must be a number", field=field)
        case "bool_type" | "bool_parsing":
            return message("serve.truth", "{field} must be true or false", field=field)
        case "string_type" | "string_unicode":
            return message("serve.text", "{field} must be a text", field=field)
        case "literal_error":
            return message("serve.one-of", "{field} must be one of {choices}", field=field, choices=context["expected"])
        case "greater_than_equal":
            return message("serve.at-least", "{field} must be at least {least}", field=field, least=context["ge"])
        case "greater_than":
            return message("serve.above", "{field} must be above {least}", field=field, least=context["gt"])
        case "less_than_equal":
            return message("serve.at-most", "{field} must be at most {most}", field=field, most=context["le"])
        case "string_too_long" | "too_long":
            return message("serve.too-long", "{field} is longer than {most}", field=field, most=context["max_length"])
    return message("serve.wrong", "{field}: {why}", field=field, why=why)
