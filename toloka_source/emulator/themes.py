"""The kinds of work that lifelike projects are about, and what their tasks look like."""

import random
from dataclasses import dataclass
from typing import Any

import msgspec

Item = dict[str, Any]

CLASSIC_IN_FIVE = 2
"""How many of five projects still have the older kind of interface."""


@dataclass(frozen=True)
class Theme:
    """One kind of work."""

    titles: dict[str, str]
    """By language."""
    description: str
    steps: tuple[str, ...]
    inputs: dict[str, str]
    """Type by field name."""
    outputs: dict[str, str]
    answers: tuple[str, ...]
    """What the first output may be; empty where people write freely."""
    on_map: bool = False


THEMES = (
    Theme(
        titles={
            "EN": "Street sign classification",
            "RU": "Классификация дорожных знаков",
            "ES": "Clasificación de señales de tráfico",
            "TR": "Trafik işareti türleri",
        },
        description="Say what kind of traffic sign the photo shows.",
        steps=(
            "Open the photo and find the sign nearest to its middle.",
            "If several signs share a pole, judge the topmost one.",
            "Choose <b>unreadable</b> when glare, dirt or distance hides the symbol.",
        ),
        inputs={"image": "url", "taken_at": "string"},
        outputs={"sign": "string"},
        answers=("warning", "prohibition", "mandatory", "information", "unreadable"),
    ),
    Theme(
        titles={
            "EN": "Search relevance of shop results",
            "FR": "Pertinence des résultats de recherche",
            "DE": "Relevanz von Suchergebnissen",
            "PT": "Relevância de resultados de busca",
        },
        description="Judge how well a product fits what somebody searched for.",
        steps=(
            "Read the query and picture the person who typed it.",
            "Open the product page and look at its title, photo and price.",
            "A spare part for the thing wanted is <i>related</i>, never <i>exact</i>.",
            "If the page does not open, report it instead of guessing.",
        ),
        inputs={"query": "string", "product_url": "url", "position": "integer"},
        outputs={"relevance": "string", "comment": "string"},
        answers=("exact", "substitute", "related", "irrelevant"),
    ),
    Theme(
        titles={
            "EN": "Audio transcription: call centre",
            "RU": "Расшифровка звонков",
            "ID": "Transkripsi panggilan suara",
            "HI": "कॉल का लिप्यंतरण",
        },
        description="Listen to a short recording and write down every word you hear.",
        steps=(
            "Put on headphones and play the recording to its end once.",
            "Write numbers as words, and mark what you can't make out with a question mark.",
            "Leave out coughs, laughter and words broken off in the middle.",
        ),
        inputs={"audio": "url", "seconds": "float"},
        outputs={"transcript": "string", "speech": "boolean"},
        answers=(),
    ),
    Theme(
        titles={
            "EN": "Comment moderation",
            "FR": "Modération de commentaires",
            "AR": "مراجعة التعليقات",
            "ES": "Moderación de comentarios",
        },
        description="Decide whether a comment may stay under an article.",
        steps=(
            "Read the whole comment, and the one it answers if there is one.",
            "Criticism is fine, however sharp; insults and threats are not.",
            "Links to shops count as <b>spam</b> even in a polite comment.",
        ),
        inputs={"text": "string", "parent": "string", "article": "url"},
        outputs={"verdict": "string"},
        answers=("ok", "insult", "threat", "spam", "off_topic"),
    ),
    Theme(
        titles={
            "EN": "Side by side: which photo is better?",
            "DE": "Bildvergleich: Welches Foto ist besser?",
            "ZH-HANS": "图片对比",
            "RU": "Сравнение фотографий",
        },
        description="Look at two photos of one dish and pick the more appetising one.",
        steps=(
            "Wait until both photos have loaded completely.",
            "Compare light, sharpness and how the dish is laid out.",
            "Pick <b>same</b> only if you could not choose after ten seconds.",
        ),
        inputs={"left": "url", "right": "url"},
        outputs={"choice": "string"},
        answers=("left", "right", "same"),
    ),
    Theme(
        titles={
            "EN": "Is this shop still open?",
            "ES": "¿Sigue abierta esta tienda?",
            "TR": "Mağaza adres kontrolü",
            "RU": "Проверка адресов магазинов",
        },
        description="Go to the address, take two photos and tell us what is there now.",
        steps=(
            "Walk to the point on the map and switch on geolocation.",
            "Take one photo of the front and one of the opening hours.",
            "Ask nobody to pose, and keep number plates out of the frame.",
            "If the building is gone, photograph the place where it stood.",
        ),
        inputs={"address": "string", "coordinates": "coordinates"},
        outputs={"state": "string", "front": "file", "hours": "file", "worker_coordinates": "coordinates"},
        answers=("open", "closed", "moved", "not_found"),
        on_map=True,
    ),
    Theme(
        titles={
            "EN": "Product matching",
            "DE": "Produktabgleich",
            "PT": "Correspondência de produtos",
            "JA": "商品マッチング",
        },
        description="Tell whether two offers are for the same product.",
        steps=(
            "Compare brand, model and size; the price does not matter.",
            "A different colour is a different product, a different box is not.",
            "Two packs of one are <b>different</b> from one pack of two.",
        ),
        inputs={"first": "json", "second": "json"},
        outputs={"same": "string", "difference": "string"},
        answers=("same", "different", "unclear"),
    ),
    Theme(
        titles={
            "EN": "Outline the cars",
            "ID": "Tandai semua mobil",
            "FR": "Détourage de voitures",
            "UK": "Виділення автомобілів",
        },
        description="Draw a box around every car in a picture from a dashboard camera.",
        steps=(
            "Draw each box as tight as you can, mirrors included.",
            "Mark cars that are hidden by half or less, and skip the others.",
            "Reflections and cars on posters do not count.",
        ),
        inputs={"image": "url"},
        outputs={"boxes": "json", "night": "boolean"},
        answers=(),
    ),
)


def instructions(rng: random.Random, theme: Theme) -> str:
    """Return the instructions of a project, in HTML."""
    steps = "".join(f"<li>{step}</li>" for step in theme.steps)
    example = f'<img src="https://static.example.com/{rng.getrandbits(40):010x}.png" alt="example">'
    return f"<h2>{theme.titles['EN']}</h2>\n<p>{theme.description}</p>\n<ol>{steps}</ol>\n<p>{example}</p>"


def task_spec(rng: random.Random, theme: Theme) -> Item:
    """Return what a project takes and gives, and its interface."""
    output_spec: Item = {
        name: {"type": kind, "required": index == 0, "hidden": False}
        for index, (name, kind) in enumerate(theme.outputs.items())
    }
    if theme.answers:
        output_spec[next(iter(theme.outputs))]["allowed_values"] = list(theme.answers)
    if "worker_coordinates" in output_spec:
        output_spec["worker_coordinates"]["current_location"] = True
    return {
        "input_spec": {
            name: {"type": kind, "required": True, "hidden": kind == "integer"} for name, kind in theme.inputs.items()
        },
        "output_spec": output_spec,
        "view_spec": _classic_view(theme) if rng.randrange(5) < CLASSIC_IN_FIVE else _builder_view(theme),
    }


def _settings() -> Item:
    shown = ("Skip", "Timer", "Title", "Submit", "Fullscreen", "Instructions", "Finish", "Message", "Reward")
    return {f"show{name}": True for name in shown}


def _classic_view(theme: Theme) -> Item:
    shown = "\n".join(f'<div class="field">{{{{{name}}}}}</div>' for name in theme.inputs)
    output = next(iter(theme.outputs))
    asked = "\n".join(
        f'{{{{field type="radio" name="{output}" value="{answer}" label="{answer}" hotkey="{number}"}}}}'
        for number, answer in enumerate(theme.answers, start=1)
    )
    return {
        "type": "classic",
        "assets": {"script_urls": ["$TOLOKA_ASSETS/js/toloka-handlebars-templates.js"]},
        "markup": shown + "\n" + (asked or f'{{{{field type="textarea" name="{output}"}}}}'),
        "script": "exports.Task = extend(TolokaHandlebarsTask, function (options) {\n"
        "  TolokaHandlebarsTask.call(this, options);\n});",
        "styles": ".field {\n  margin: 8px 0;\n  max-width: 640px;\n}",
        "settings": _settings(),
    }


def _builder_view(theme: Theme) -> Item:
    output = {"type": "data.output", "path": next(iter(theme.outputs))}
    shown: list[Item] = [
        {"type": "view.text", "label": name, "content": {"type": "data.input", "path": name}} for name in theme.inputs
    ]
    if theme.answers:
        options = [{"label": answer.replace("_", " "), "value": answer} for answer in theme.answers]
        asked: Item = {"type": "field.button-radio-group", "data": output, "options": options}
    else:
        asked = {"type": "field.textarea", "data": output, "validation": {"type": "condition.required"}}
    config = {"view": {"type": "view.list", "items": [*shown, asked]}, "plugins": [{"type": "plugin.toloka"}]}
    return {
        "type": "tb",
        # The API holds the interface as a text with JSON in it.
        "config": msgspec.json.encode(config).decode(),
        "lock": {"core": "1.7.0", "view.text": "1.0.4", "view.list": "1.0.5", "plugin.toloka": "1.1.8"},
        "settings": _settings() | {"permissions": []},
    }
