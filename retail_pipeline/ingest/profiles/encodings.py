"""Whether words in an encoding of one byte a character are Western (cp1252) or Central European (cp1250)."""

from __future__ import annotations

import re

# letters by language: a word, and the words of a small file, keep to one of them
_LANGUAGES = tuple(
    frozenset(letters)
    for letters in (
        "àâæçéèêëîïôœùûüÿ", "áéíóúüñ", "áâãàçéêíóôõúü", "àèéìíîòóùú", "äöüßéèàêç", "æøåéöäóêü", "åäöéàüø",
        "áéíóúýðþæö", "éëïóöüèêáâç", "àçèéíïòóúü",
    )
)  # fmt: skip
_CENTRAL = frozenset("áčďéěíňóřšťúůýžąćęłńśźżőűöüäĺľôŕđăâîşţßčëç")
# the letters that cp1250 has elsewhere
_APART = re.compile("[àãåæèêìïñòõøùûœ]")
_CONSONANT = "[^\\W\\d_aeiouyàáâãäåæèéêëìíîïòóôõöøùúûüœ]"
# where those letters stand in Western words
_OUT_OF_PLACE = re.compile(
    "ñ(?![aeiouáéíóúü])|è(?=[aeiouyáéíóúü])|[ìù](?=[^\\W\\d_])|ã(?![oes]|\\b)|œ(?![utdsni])"
    "|[ûê](?=[aiouy])|(?<![aeouéaAEOU])ï"
)
# and where cp1250's letters in their place never do
_SURELY_WESTERN = re.compile(f"å|ñ[aeiouáéíóú]|ã[oe]|\\w\\wà\\b|\\bà\\b|œu|è{_CONSONANT}+es?\\b|ès\\b")
_FEW = 20


def may_be_central(head: bytes) -> bool:
    """Whether text that makes sense in cp1252 may be meant in cp1250.

    So it is when letters that the two read differently stand in one word alone, where they do not stand in
    Western words, or in few words that are not of one Western language.
    """
    words = {word.lower() for word in re.findall(r"[^\W\d_]+", head.decode("cp1252", "replace"))}
    telling = {word for word in words if _APART.search(word)}
    odd = {word for word in telling if _OUT_OF_PLACE.search(word) or not _one_language({word})}
    if len(odd) > len(telling) / _FEW:
        return True
    doubtful = {word for word in telling if not _SURELY_WESTERN.search(word)}
    if not doubtful or len(doubtful) < len(telling) or len(telling) > _FEW:
        return False
    central = all(
        _letters(word.encode("cp1252").decode("cp1250", "replace")) <= _CENTRAL for word in doubtful
    )
    return central and (len(doubtful) == 1 or not _one_language(doubtful))


def _letters(text: str) -> set[str]:
    return {letter for letter in text if not letter.isascii()}


def _one_language(words: set[str]) -> bool:
    letters = _letters("".join(words))
    return any(letters <= language for language in _LANGUAGES)
