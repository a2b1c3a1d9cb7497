"""Basque endings for the nouns and names of `words.py`: the few cases that its sentences use, singular unless said.

A noun is given bare (`asto`, `txakur`, `errota`), without its article. Every stem that ends in `a` is taken to own
that `a` (`errota`, `txalupa`): it then takes no second one. A final `r` doubles before a vowel (`txakur`, `txakurra`),
except in the words of SOFT_R.
"""

VOWELS = "aeiou"
SOFT_R = frozenset({"antzar"})


def before_vowel(stem: str) -> str:
    """Return the stem as it is written before an ending that begins with a vowel."""
    return stem + "r" if stem.endswith("r") and stem not in SOFT_R else stem


def definite(noun: str) -> str:
    """asto -> astoa, errota -> errota, okin -> okina, txakur -> txakurra (the donkey, the mill, the baker, the dog)."""
    return noun if noun.endswith("a") else before_vowel(noun) + "a"


def plural(noun: str) -> str:
    """sagar -> sagarrak, gerezi -> gereziak, laranja -> laranjak (the apples, the cherries, the oranges)."""
    return definite(noun) + "k"


def ergative(noun: str) -> str:
    """asto -> astoak, txakur -> txakurrak: the subject of a verb that has an object (same form as the plural)."""
    return definite(noun) + "k"


def genitive(noun: str) -> str:
    """asto -> astoaren, dordoka -> dordokaren (of the donkey, of the turtle)."""
    return definite(noun) + "ren"


def dative(noun: str) -> str:
    """asto -> astoari, dordoka -> dordokari (to the donkey, to the turtle)."""
    return definite(noun) + "ri"


def inessive(noun: str) -> str:
    """baso -> basoan, errota -> errotan, labar -> labarrean (in the forest, at the mill, on the cliff)."""
    return definite(noun) + "n" if noun[-1] in VOWELS else before_vowel(noun) + "ean"


def name_ergative(name: str) -> str:
    """Ane -> Anek, Oihan -> Oihanek, Iker -> Ikerrek."""
    return name + "k" if name[-1] in VOWELS else before_vowel(name) + "ek"


def name_genitive(name: str) -> str:
    """Ane -> Aneren, Oihan -> Oihanen, Iker -> Ikerren."""
    return name + "ren" if name[-1] in VOWELS else before_vowel(name) + "en"


def name_company(name: str) -> str:
    """Ane -> Anerekin, Oihan -> Oihanekin, Iker -> Ikerrekin (with Ane, with Oihan, with Iker)."""
    return name_genitive(name)[:-1] + "kin"


def name_inessive(place: str) -> str:
    """Urgarbi -> Urgarbin, Lainotza -> Lainotzan. Place names that end in a consonant are not needed here."""
    return place + "n"


def name_local(place: str) -> str:
    """Urgarbi -> Urgarbiko (of Urgarbi, from Urgarbi)."""
    return place + "ko"


def name_ablative(place: str) -> str:
    """Urgarbi -> Urgarbitik (out of Urgarbi)."""
    return place + "tik"
