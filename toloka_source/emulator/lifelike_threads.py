"""Message threads between a busy requester and Tolokers."""

from datetime import datetime

from toloka_source.emulator.birth import Birth, Item
from toloka_source.emulator.lifelike import OWNERS, api_time, chance, present
from toloka_source.emulator.lifelike_people import assignment_id, user

REQUESTER: Item = {"id": OWNERS[0]["id"], "role": "REQUESTER", "myself": True}

_TOPICS = (
    {"EN": "Why was my answer rejected?", "RU": "Почему мой ответ отклонили?"},
    {"RU": "Пропала картинка"},
    {"EN": "A new pool is open", "ES": "Hay un nuevo grupo de tareas", "TR": "Yeni bir havuz"},
    {"EN": "You got a bonus 🎉"},
)
_TEXTS = (
    {"EN": "The photo was too dark to tell."},
    {"RU": "Здравствуйте! Проверьте, пожалуйста, ещё раз."},
    {"EN": "Thank you", "ES": "Gracias", "TR": "Teşekkürler"},
)


def message(text: Item, sender: Item, at: datetime) -> Item:
    """Return a message; its text by language."""
    return {"text": text, "from": sender, "created": api_time(at)}


def thread(birth: Birth) -> Item:
    """Return a thread, its fields in the API's order and its messages the newest first; some belong to another one."""
    rng = birth.rng
    toloker: Item = {"id": user(rng), "role": "USER"}
    folder = rng.choice(["INBOX", "INBOX", "OUTBOX", "AUTOMATIC_NOTIFICATION"])
    is_ours = folder == "OUTBOX"
    sent = {"recipients_select_type": "DIRECT", "recipients_ids": [toloker["id"]]}
    messages = [message(rng.choice(_TEXTS), REQUESTER if is_ours else toloker, birth.created)]
    if folder == "INBOX" and not birth.is_new and chance(rng, 0.4):
        messages.insert(0, message(rng.choice(_TEXTS), REQUESTER, birth.later()))
    marks = [mark for mark in ("IMPORTANT", "UNREAD") if not is_ours and chance(rng, 0.3)]
    pool, parent = birth.some("pools"), birth.maybe("message_threads") if chance(rng, 0.15) else None
    meta = {"pool_id": pool["id"], "assignment_id": assignment_id(birth, pool["id"])}
    return present(
        {
            "id": birth.id,
            "parent_id": parent["id"] if parent else None,
            "topic": rng.choice(_TOPICS),
            "interlocutors_inlined": True,
            "interlocutors": sorted([REQUESTER, toloker], key=lambda one: str(one["id"])),
            "messages_inlined": True,
            "messages": messages,
            "compose_details": sent if is_ours else None,
            "meta": meta if chance(rng, 0.6) else {},
            "folders": [folder, *marks],
            "answerable": folder == "INBOX",
            "created": api_time(birth.created),
        }
    )
