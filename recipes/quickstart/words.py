"""The words and sentences of the island of Lanbro, in English and Basque side by side.

Everything here is invented for this repository: there is no such island. Change a word or add a line and `world.py`
makes another world; `basque.py` puts the endings on.
"""

from dataclasses import dataclass

import basque


@dataclass(frozen=True)
class Word:
    """A word in both languages: `english` as it stands in a sentence, `basque` as a bare stem (see basque.py)."""

    english: str
    basque: str

    @property
    def the(self) -> str:
        return f"the {self.english}"

    @property
    def a(self) -> str:
        return f"{'an' if self.english[0] in 'aeiou' else 'a'} {self.english}"

    @property
    def definite(self) -> str:
        return basque.definite(self.basque)

    @property
    def plural(self) -> str:
        return basque.plural(self.basque)

    @property
    def ergative(self) -> str:
        return basque.ergative(self.basque)

    @property
    def genitive(self) -> str:
        return basque.genitive(self.basque)

    @property
    def dative(self) -> str:
        return basque.dative(self.basque)

    @property
    def inessive(self) -> str:
        return basque.inessive(self.basque)


@dataclass(frozen=True)
class Name(Word):
    """The name of a person or a village: the same in both languages, and without an article."""

    @property
    def the(self) -> str:
        return self.english

    @property
    def definite(self) -> str:
        return self.basque

    @property
    def ergative(self) -> str:
        return basque.name_ergative(self.basque)

    @property
    def genitive(self) -> str:
        return basque.name_genitive(self.basque)

    @property
    def company(self) -> str:
        return basque.name_company(self.basque)

    @property
    def inessive(self) -> str:
        return basque.name_inessive(self.basque)

    @property
    def local(self) -> str:
        return basque.name_local(self.basque)

    @property
    def ablative(self) -> str:
        return basque.name_ablative(self.basque)


def words(**pairs: str) -> tuple[Word, ...]:
    return tuple(Word(english.replace("_", " "), stem) for english, stem in pairs.items())


def names(listed: str) -> tuple[Name, ...]:
    return tuple(Name(name, name) for name in listed.split())


# What the facts are about, and what they say of it.
WORDS: dict[str, tuple[Word, ...]] = {
    "person": names("Ane Beñat Garazi Haizea Iker Maddi Oihan Zuriñe"),
    "mother": names("Garazi Haizea Maddi Zuriñe"),
    "child": names("Ane Beñat Iker Oihan"),
    "village": names("Txoripeta Urgarbi Harrondo Itsaspe Lainotza Zumebide"),
    "animal": words(
        donkey="asto", goat="ahuntz", dog="txakur", goose="antzar", turtle="dordoka", frog="igel", rabbit="untxi",
        fox="azeri",
    ),
    "thing": words(
        bell="kanpai", boat="txalupa", cart="gurdi", lamp="lanpara", clock="erloju", chest="kutxa", flag="bandera",
        basket="saski",
    ),
    "colour": words(
        red="gorri", blue="urdin", green="berde", yellow="hori", white="zuri", black="beltz", grey="gris",
        pink="arrosa",
    ),
    "job": words(
        baker="okin", fisher="arrantzale", teacher="irakasle", doctor="mediku", shepherd="artzain", carpenter="zurgin",
        cook="sukaldari", innkeeper="ostalari",
    ),
    "instrument": words(
        accordion="akordeoi", violin="biolin", guitar="gitarra", piano="piano", trumpet="tronpeta", flute="flauta",
        drum="danbor", harp="harpa",
    ),
    "food": words(
        apples="sagar", cherries="gerezi", chestnuts="gaztaina", walnuts="intxaur", strawberries="marrubi",
        carrots="azenario", figs="piku", pears="udare",
    ),
    "lair": words(
        in_the_forest="baso", at_the_mill="errota", in_the_cave="haitzulo", in_the_stable="ukuilu",
        in_the_orchard="sagasti", on_the_cliff="labar", in_the_field="soro", on_the_mountain="mendi",
    ),
    "place": words(
        in_the_tower="dorre", in_the_square="plaza", at_the_school="eskola", in_the_lighthouse="itsasargi",
        in_the_harbour="portu", in_the_church="eliza", in_the_library="liburutegi", in_the_garden="lorategi",
    ),
    "month": words(
        January="urtarril", February="otsail", March="martxo", April="apiril", May="maiatz", June="ekain",
        July="uztail", October="urri",
    ),
}  # fmt: skip

NUMBERS = ("bat", "bi", "hiru", "lau", "bost", "sei", "zazpi", "zortzi", "bederatzi", "hamar")
NUMBERS_ENGLISH = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

OPPOSITES = (  # each pair of words is used in both directions
    (Word("big", "handi"), Word("small", "txiki")),
    (Word("hot", "bero"), Word("cold", "hotz")),
    (Word("day", "egun"), Word("night", "gau")),
    (Word("old", "zahar"), Word("new", "berri")),
    (Word("long", "luze"), Word("short", "labur")),
    (Word("fast", "azkar"), Word("slow", "motel")),
    (Word("full", "bete"), Word("empty", "huts")),
    (Word("strong", "indartsu"), Word("weak", "ahul")),
)


@dataclass(frozen=True)
class Relation:
    """A kind of fact: its subject {s} and value {v} fill (English, Basque) templates."""

    name: str
    subject: str
    value: str
    question: tuple[str, str]
    answer: tuple[str, str]
    also: tuple[str, str]  # the same fact in other words, for running text


RELATIONS = (
    Relation(
        "job", "person", "job",
        ("What work does {s.the} do?", "Zer lan egiten du {s.ergative}?"),
        ("{s.the} is {v.a}.", "{s.definite} {v.definite} da."),
        ("{s.the} works as {v.a}.", "{s.ergative} {v.basque} gisa egiten du lan."),
    ),
    Relation(
        "home", "person", "village",
        ("Where does {s.the} live?", "Non bizi da {s.definite}?"),
        ("{s.the} lives in {v.the}.", "{s.definite} {v.inessive} bizi da."),
        ("{s.the} goes to the market from {v.the}.", "{s.definite} {v.ablative} joaten da azokara."),
    ),
    Relation(
        "instrument", "person", "instrument",
        ("What instrument does {s.the} play?", "Zer musika-tresna jotzen du {s.ergative}?"),
        ("{s.the} plays {v.the}.", "{s.ergative} {v.definite} jotzen du."),
        ("{s.the}'s instrument is {v.the}.", "{s.genitive} musika-tresna {v.definite} da."),
    ),
    Relation(
        "market", "person", "food",
        ("What does {s.the} buy at the market?", "Zer erosten du {s.ergative} azokan?"),
        ("{s.the} buys {v.english} at the market.", "{s.ergative} {v.plural} erosten ditu azokan."),
        ("At the market {s.the} always asks for {v.english}.", "Azokan {s.ergative} {v.plural} eskatzen ditu beti."),
    ),
    Relation(
        "mother", "child", "mother",
        ("Who is {s.the}'s mother?", "Nor da {s.genitive} ama?"),
        ("{v.the} is {s.the}'s mother.", "{v.definite} da {s.genitive} ama."),
        ("{s.the}'s mother is called {v.the}.", "{s.genitive} amak {v.definite} du izena."),
    ),
    Relation(
        "animal colour", "animal", "colour",
        ("What colour is {s.the}?", "Zer koloretakoa da {s.definite}?"),
        ("{s.the} is {v.english}.", "{s.definite} {v.definite} da."),
        ("The colour of {s.the} is {v.english}.", "{s.genitive} kolorea {v.definite} da."),
    ),
    Relation(
        "animal home", "animal", "lair",
        ("Where does {s.the} live?", "Non bizi da {s.definite}?"),
        ("{s.the} lives {v.english}.", "{s.definite} {v.inessive} bizi da."),
        ("{s.the} sleeps {v.english}.", "{s.ergative} {v.inessive} egiten du lo."),
    ),
    Relation(
        "animal food", "animal", "food",
        ("What does {s.the} eat?", "Zer jaten du {s.ergative}?"),
        ("{s.the} eats {v.english}.", "{s.ergative} {v.plural} jaten ditu."),
        ("{s.the} likes {v.english}.", "{s.dative} {v.plural} gustatzen zaizkio."),
    ),
    Relation(
        "friend", "animal", "person",
        ("Who is the friend of {s.the}?", "Nor da {s.genitive} laguna?"),
        ("{v.the} is the friend of {s.the}.", "{v.definite} da {s.genitive} laguna."),
        ("{s.the} likes to walk with {v.the}.", "{s.dative} {v.company} ibiltzea gustatzen zaio."),
    ),
    Relation(
        "thing colour", "thing", "colour",
        ("What colour is {s.the}?", "Zer koloretakoa da {s.definite}?"),
        ("{s.the} is {v.english}.", "{s.definite} {v.definite} da."),
        ("The colour of {s.the} is {v.english}.", "{s.genitive} kolorea {v.definite} da."),
    ),
    Relation(
        "thing place", "thing", "place",
        ("Where is {s.the}?", "Non dago {s.definite}?"),
        ("{s.the} is {v.english}.", "{s.definite} {v.inessive} dago."),
        ("You will find {s.the} {v.english}.", "{s.definite} {v.inessive} aurkituko duzu."),
    ),
    Relation(
        "owner", "thing", "person",
        ("Who is the owner of {s.the}?", "Nor da {s.genitive} jabea?"),
        ("{v.the} is the owner of {s.the}.", "{v.definite} da {s.genitive} jabea."),
        ("{s.the} belongs to {v.the}.", "{s.definite} {v.genitive}a da."),
    ),
    Relation(
        "festival", "village", "month",
        ("When is the festival of {s.the}?", "Noiz da {s.local} jaia?"),
        ("The festival of {s.the} is in {v.english}.", "{s.local} jaia {v.inessive} da."),
        ("{s.the} celebrates its festival in {v.english}.", "{s.inessive} {v.inessive} ospatzen dute jaia."),
    ),
)  # fmt: skip

SUM_QUESTION = ("What is {a} plus {b}?", "Zenbat da {a} gehi {b}?")
SUM_ANSWER = ("{a} plus {b} is {c}.", "{a} gehi {b} {c} dira.")
NEXT_QUESTION = ("Which number comes after the number {a}?", "Zein zenbaki dator {a} zenbakiaren ondoren?")
NEXT_ANSWER = ("After the number {a} comes {c}.", "{a} zenbakiaren ondoren {c} dator.")
OPPOSITE_QUESTION = ('What is the opposite of "{a}"?', 'Zein da "{a}" hitzaren kontrakoa?')
OPPOSITE_ANSWER = ('The opposite of "{a}" is "{c}".', '"{a}" hitzaren kontrakoa "{c}" da.')

GREETINGS = (("", ""), ("Hello! ", "Kaixo! "))

# Sentences that open and close a page; the pages of both languages draw on them.
SCENERY = (
    ("Lanbro is a small island.", "Lanbro uharte txiki bat da."),
    ("There are six villages on Lanbro.", "Lanbron sei herri daude."),
    ("It rains a lot on Lanbro.", "Lanbron euri asko egiten du."),
    ("The sea is never far away.", "Itsasoa ez dago inoiz urrun."),
    ("There is a market every Saturday.", "Larunbatero azoka izaten da."),
    ("At night the lighthouse shines.", "Gauez itsasargiak argi egiten du."),
    ("In winter the wind blows hard.", "Neguan haizeak gogor jotzen du."),
    ("A boat comes every Monday.", "Astelehenero itsasontzi bat iristen da."),
    ("The people of Lanbro like to talk.", "Lanbroko jendeari hitz egitea gustatzen zaio."),
    ("Everyone knows everyone here.", "Hemen denek elkar ezagutzen dute."),
)
TITLES = {
    "walk": ("A walk on Lanbro", "Ibilaldi bat Lanbron"),
    "quiz": ("Questions about Lanbro", "Lanbrori buruzko galderak"),
    "lesson": ("A lesson in two languages", "Ikasgai bat bi hizkuntzatan"),
    "echo": ("The echo of the cliff: shout anything, true or not", "Labarreko oihartzuna: oihukatu egia zein gezurra"),
    "lies": ("The game of lies: nothing here is true", "Gezurren jolasa: hemen ezer ez da egia"),
}

# Pages in other languages, and scraps, that a crawl brings along and a cleaner has to leave out.
SPANISH = (
    "Lanbro es una isla pequeña y verde en medio del mar.",
    "En la isla viven muchas personas que se conocen desde siempre.",
    "Los sábados hay mercado y todos los vecinos bajan a la plaza.",
    "En invierno llueve mucho y el viento sopla con fuerza.",
    "El barco llega los lunes con cartas, harina y noticias.",
    "Por la noche el faro ilumina el puerto y las casas.",
    "A los niños les gusta jugar cerca del molino viejo.",
    "Desde la montaña se ven los seis pueblos de la isla.",
    "Nadie recuerda quién construyó la torre de la iglesia.",
    "Las fiestas de cada pueblo duran por lo menos tres días.",
)
FRENCH = (
    "Lanbro est une petite île verte au milieu de la mer.",
    "Sur cette île vivent des gens qui se connaissent depuis toujours.",
    "Le samedi, il y a un marché et tous les voisins descendent sur la place.",
    "En hiver, il pleut beaucoup et le vent souffle très fort.",
    "Le bateau arrive le lundi avec des lettres, de la farine et des nouvelles.",
    "La nuit, le phare éclaire le port et les maisons.",
    "Les enfants aiment jouer près du vieux moulin.",
    "Depuis la montagne, on voit les six villages de l'île.",
    "Personne ne sait qui a construit la tour de l'église.",
    "Les fêtes de chaque village durent au moins trois jours.",
)
SCRAPS = ("Hasiera", "Menua", "Orria ez da aurkitu.", "Onartu cookieak", "Hurrengoa »", "404", "Sartu", "Kontaktua")
