"""Sentences for the synthesiser, put together from word lists of our own.

Every sentence is subject, verb, object, place, time; all subjects are third person singular and
every object fits every verb, so that no agreement has to be worked out.  They mean little, and need
not: what counts is that all sounds of a language occur, in sentences of natural length.
"""

from __future__ import annotations

import numpy as np

# language -> five columns, each a text with one phrase between commas
_PHRASES = {
    "en": (
        "The old captain, My younger sister, A quiet engineer, The baker's daughter, Nobody here,"
        " Our new neighbour, The tall judge, Every good gardener, A small fox, The girl next door",
        "carries, remembers, quickly sketches, has never shown, cannot find, is looking for,"
        " keeps an eye on, would gladly exchange, measures, rarely mentions",
        "seven wooden boxes, the yellow bicycle, a jar of honey, this strange machine,"
        " the thick blue book, her father's watch, a pair of rough gloves, the missing key,"
        " fresh bread and cheese, an empty suitcase",
        "at the harbour, behind the church, in a narrow street, under the bridge,"
        " on the way to school, near the frozen lake, beside the workshop, between two houses",
        "every morning, shortly before midnight, since last Thursday, when it rains,"
        " without much joy, for the third time, in early spring, as usual",
    ),
    "de": (
        "Der alte Kapitän, Meine jüngere Schwester, Ein ruhiger Zöllner, Die Tochter des Bäckers,"
        " Unser neuer Nachbar, Die große Richterin, Jeder gute Gärtner, Ein kleiner Fuchs",
        "trägt, zeichnet, sucht, vergisst, beobachtet, tauscht, misst, verkauft, findet",
        "sieben Kisten aus Holz, das gelbe Fahrrad, ein Glas Honig, diese merkwürdige Maschine,"
        " das dicke blaue Buch, zwei Paar Handschuhe, frisches Brot und Käse, die schöne Uhr",
        "am Hafen, hinter der Kirche, in einer engen Gasse, unter der Brücke, auf dem Schulweg,"
        " neben der Werkstatt, zwischen zwei Häusern",
        "jeden Morgen, kurz vor Mitternacht, seit Donnerstag, bei Regen, ohne große Freude,"
        " zum dritten Mal, im frühen Frühling",
    ),
    "es": (
        "El viejo capitán, Mi hermana menor, Un ingeniero callado, La hija del panadero,"
        " Nuestro nuevo vecino, La jueza, Cada buen jardinero, Un zorro pequeño",
        "lleva, dibuja, busca, olvida, observa, cambia, mide, vende, encuentra",
        "siete cajas de madera, la bicicleta amarilla, un tarro de miel, esta máquina extraña,"
        " el grueso libro azul, un par de guantes, pan fresco y queso, el reloj de su padre",
        "en el puerto, detrás de la iglesia, en una calle estrecha, bajo el puente,"
        " camino de la escuela, junto al taller, entre dos casas",
        "cada mañana, poco antes de medianoche, desde el jueves, cuando llueve, sin mucha alegría,"
        " por tercera vez, al comienzo de la primavera",
    ),
    "fr": (
        "Le vieux capitaine, Ma petite sœur, Un ingénieur tranquille, La fille du boulanger,"
        " Notre nouveau voisin, La grande juge, Chaque bon jardinier, Un jeune renard",
        "porte, dessine, cherche, oublie, observe, échange, mesure, vend, retrouve",
        "sept caisses en bois, la bicyclette jaune, un pot de miel, cette étrange machine,"
        " le gros livre bleu, une paire de gants, du pain frais et du fromage, la montre du père",
        "au port, derrière l'église, dans une rue étroite, sous le pont, sur le chemin de l'école,"
        " près de l'atelier, entre deux maisons",
        "chaque matin, peu avant minuit, depuis jeudi, quand il pleut, sans grande joie,"
        " pour la troisième fois, au début du printemps",
    ),
    "it": (
        "Il vecchio capitano, Mia sorella minore, Un ingegnere tranquillo, La figlia del fornaio,"
        " Il nostro nuovo vicino, La giudice, Ogni buon giardiniere, Una piccola volpe",
        "porta, disegna, cerca, dimentica, osserva, scambia, misura, vende, ritrova",
        "sette casse di legno, la bicicletta gialla, un vasetto di miele, questa strana macchina,"
        " il grosso libro blu, un paio di guanti, pane fresco e formaggio, l'orologio del padre",
        "al porto, dietro la chiesa, in una strada stretta, sotto il ponte, sulla via della scuola,"
        " accanto all'officina, fra due case",
        "ogni mattina, poco prima di mezzanotte, da giovedì, quando piove, senza molta gioia,"
        " per la terza volta, all'inizio della primavera",
    ),
    "nl": (
        "De oude kapitein, Mijn jongere zus, Een rustige ingenieur, De dochter van de bakker,"
        " Onze nieuwe buurman, De lange rechter, Elke goede tuinman, Een kleine vos",
        "draagt, tekent, zoekt, vergeet, bekijkt, ruilt, meet, verkoopt, vindt",
        "zeven houten kisten, de gele fiets, een pot honing, deze vreemde machine,"
        " het dikke blauwe boek, een paar handschoenen, vers brood en kaas, het horloge van vader",
        "in de haven, achter de kerk, in een smalle straat, onder de brug, op weg naar school,"
        " naast de werkplaats, tussen twee huizen",
        "elke ochtend, kort voor middernacht, sinds donderdag, als het regent, zonder veel vreugde,"
        " voor de derde keer, in het vroege voorjaar",
    ),
}  # fmt: skip

LANGUAGES = tuple(_PHRASES)


def sentence(rng: np.random.Generator, language: str) -> str:
    """One sentence in `language` (one of LANGUAGES), drawn with `rng`."""
    columns = ([phrase.strip() for phrase in text.split(",")] for text in _PHRASES[language])
    return " ".join(phrases[rng.integers(len(phrases))] for phrases in columns) + "."
