# ruff: noqa: RUF001 - Chinese punctuation is what a Chinese customer types
"""What people say in a contact centre: conversations put together from parts, the same for the same random generator.

A *turn* is `(role, text)` with the roles `agent` and `contact`. A *topic* is one reason to get in touch, from the first
complaint to the solution. The texts are made up; names, numbers and addresses belong to nobody.
"""

from random import Random
from typing import NamedTuple

Turn = tuple[str, str]


class Topic(NamedTuple):
    """The parts of one kind of conversation; of the exchanges, in order, any but the last may be left out."""

    name: str
    problems: tuple[str, ...]
    exchanges: tuple[tuple[str, str], ...]  # the agent asks or tells, the contact answers
    outcomes: tuple[str, ...]


FIRST = ("Maria", "James", "Aisha", "Wei", "Sofia", "Daniel", "Priya", "Tom", "Ingrid", "Carlos", "Zoë", "Kwame")
LAST = ("Lopez", "Smith", "Khan", "Zhang", "Rossi", "O'Neill", "Patel", "Novák", "Berg", "Müller", "Okafor", "Dubois")

TOPICS = (
    Topic(
        "late order",
        (
            "My order {order} was supposed to arrive on {day} and there is still no sign of it.",
            "I ordered {item} two weeks ago and the tracking hasn't moved since {day}.",
            "Hi, where is my package? The app says delivered but nothing is here.",
        ),
        (
            ("I'm sorry about the wait. Could I have the order number, please?", "Sure, it's {order}."),
            ("And the postcode it should go to?", "{postcode}."),
            (
                "I see it left our warehouse on {day}; the carrier scanned it once and then lost sight of it.",
                "That's what the tracking shows me too.",
            ),
            (
                "Would you rather have a replacement or your money back?",
                "A replacement, if it can be here before the weekend.",
            ),
        ),
        (
            "I've sent a new {item} by express, it will be with you by {day}.",
            "The replacement is booked, and you don't need to return the first one if it turns up.",
        ),
    ),
    Topic(
        "billing",
        (
            "I've been charged {amount} twice this month and I'd like to know why.",
            "There's a charge of {amount} on my card that I don't recognise.",
            "My bill went up by {amount} and nobody told me anything.",
        ),
        (
            ("Let me look into that with you. Which account is this for?", "The number is {account}."),
            ("Thank you. For security, what are the last two digits of the card?", "{two}."),
            (
                "I can see two payments on {day}, one of them still pending.",
                "Right, and the bank says only you can cancel it.",
            ),
            ("The second one was a retry after a timeout. I'm reversing it now.", "How long until I have the money?"),
        ),
        (
            "It will be back on your card within three to five working days, reference {order}.",
            "I've credited {amount} to your account, you'll see it on the next statement.",
        ),
    ),
    Topic(
        "login",
        (
            "I can't log in any more, it says my password is wrong, and the reset mail never arrives.",
            "I got a new phone and now the two-factor code doesn't work.",
            "My account is locked after one wrong try, is that normal?",
        ),
        (
            ("That's annoying, let's get you back in. What e-mail address do you use?", "{email}"),
            ("Found it. Did you check the spam folder for a mail from us?", "Yes, nothing there."),
            ("Then I'll send a one-time code to the phone number ending in {two}.", "Okay... got it, it's {code}."),
            ("Great, that matches. Please choose a new password, at least twelve characters.", "One moment. Done!"),
        ),
        (
            "You should be able to sign in now, and I've removed the old device.",
            "The lock is lifted; please try once more while I'm still here.",
        ),
    ),
    Topic(
        "outage",
        (
            "The internet has been down since this morning and I work from home.",
            "My connection drops every few minutes, video calls are impossible.",
            "No dial tone at all since {day}, the light on the box is red.",
        ),
        (
            ("Let me run a test on your line. Is that account {account}?", "Yes, that's the one."),
            ("While it runs: is the light on the router green, orange or red?", "Red, and it blinks."),
            (
                "Could you unplug it for thirty seconds and plug it in again?",
                "Okay, doing it now... it's booting. Still red.",
            ),
            (
                "Then the fault is outside your house. I can send an engineer on {day}.",
                "Morning would be best, before eleven.",
            ),
        ),
        (
            "The engineer is booked for {day} between eight and ten, you'll get a text when they leave.",
            "I see it coming back: there was a fault in the exchange, and your line is up again.",
        ),
    ),
    Topic(
        "return",
        (
            "I'd like to send back {item}, it's the wrong size.",
            "The {item} I got is broken, one corner is cracked.",
            "You sent me somebody else's {item}!",
        ),
        (
            ("Oh no, I'm sorry. Could you tell me the order number?", "{order}, from last {day}."),
            ("Thanks. Would you like to swap it or get a refund?", "Swap it please, same colour."),
            ("We have it in stock. Do you have a printer for the label?", "No, can the courier bring it?"),
            ("That works. When should they come?", "{day} afternoon is fine."),
        ),
        (
            "All set: the courier brings the new one and takes the old one with them.",
            "Your return is registered as {order}, the refund of {amount} follows once it arrives.",
        ),
    ),
    Topic(
        "appointment",
        (
            "I need to move my appointment from {day} to another day.",
            "Do you have anything free this week? It's rather urgent.",
            "I'd like to book a check-up for my daughter, please.",
        ),
        (
            ("Of course. What name is it under?", "{first} {last}."),
            ("And the date of birth?", "The third of May, nineteen eighty-{two}."),
            ("I have {day} at nine fifteen or at half past two.", "Nine fifteen is perfect."),
            ("Shall I send the confirmation by text?", "By e-mail please: {email}"),
        ),
        (
            "You're booked for {day} at nine fifteen with Dr {last}.",
            "I've moved it, and you'll get a reminder the day before.",
        ),
    ),
    Topic(
        "cancel",
        (
            "I want to cancel my subscription, I hardly use it.",
            "Your competitor offers the same for {amount} less, so I'm thinking of leaving.",
            "Please close account {account}, we are moving abroad.",
        ),
        (
            ("I'm sorry to hear that. May I ask what made you decide?", "Honestly, the price."),
            ("If I could take {amount} off for a year, would you stay?", "Hmm. And after that year?"),
            (
                "Then it goes back to the normal price, and you can leave any month.",
                "Let me think... no, please cancel it.",
            ),
            ("No problem. It runs until the end of the month.", "That's fine."),
        ),
        (
            "It's cancelled as of the end of the month, I've sent the confirmation to {email}.",
            "Done, the discount is on your account from today.",
        ),
    ),
    Topic(
        "travel",
        (
            "My flight on {day} was cancelled and I have a connection to catch.",
            "I'd like to add a suitcase to booking {order}.",
            "The hotel says they have no reservation for us, and we are standing at the desk!",
        ),
        (
            ("Let me help you with that. The booking reference, please?", "{order}."),
            ("Two travellers, {first} {last} and a child, is that right?", "Yes, exactly."),
            ("There are two seats left at six forty in the morning.", "Is there nothing later?"),
            ("The next one is at noon, with a change, {amount} more.", "Then let's take the early one."),
        ),
        (
            "You're both confirmed, the new tickets are on their way to {email}.",
            "I spoke to them: the room is ready, and breakfast is on us.",
        ),
    ),
)

GREETINGS = (
    "Thank you for calling Northwind, this is {agent}. How can I help?",
    "Good {part}, Northwind customer care, {agent} speaking.",
    "Hello! You're through to {agent}. What can I do for you today?",
    "Hi, my name is {agent}, how may I help you?",
)
CALLBACKS = (
    "Good {part}, this is {agent} from Northwind, you asked us to call you back.",
    "Hello, {agent} from Northwind here. Is this a good moment?",
)
HANDOVERS = (
    "Hello, this is {agent}, my colleague has told me what it is about: {topic}. I'll take it from here.",
    "Hi, {agent} from the specialist team. I have your case in front of me.",
)
FILLERS = (
    ("One moment, please, the system is a little slow today.", "No worries."),
    ("May I put you on hold for a minute?", "Sure."),
    ("Are you still there?", "Yes, still here."),
    ("Could you spell that for me?", "{last}: as it is written."),
)
THANKS = (
    "Great, thank you so much!",
    "Perfect. That was quick, thanks.",
    "Okay. I hope it works this time.",
    "Brilliant, you've saved my day.",
    "Fine. Thanks for your help, bye.",
)
EMOJI_THANKS = ("Perfect 🙏", "thx!! 😊👍", "You're a star ⭐️ thank you", "ok 👌", "❤️ finally, thank you")
CLOSINGS = (
    "Is there anything else I can do for you? No? Then have a lovely {part}.",
    "You're welcome. Thank you for being with us, goodbye.",
    "Glad I could help. Take care!",
    "My pleasure, {first}. Have a good {part}!",
)
OTHER_LANGUAGES: tuple[tuple[Turn, ...], ...] = (
    (
        ("contact", "Hola, ¿me pueden ayudar en español? Mi pedido {order} no ha llegado."),
        ("agent", "¡Claro que sí! Soy {agent}. ¿Me confirma su código postal?"),
        ("contact", "Es {postcode}. Llevo esperando desde la semana pasada 😕"),
        ("agent", "Lo siento mucho. Le envío uno nuevo hoy mismo, sin coste."),
        ("contact", "Muchas gracias, ¡qué rápido!"),
    ),
    (
        ("contact", "Guten Tag, ich wurde doppelt belastet: zweimal {amount}."),
        ("agent", "Guten Tag, hier ist {agent}. Ich prüfe das gern, einen Moment bitte."),
        ("agent", "Die zweite Buchung ist storniert, das Geld ist in drei Tagen zurück."),
        ("contact", "Super, danke schön. Tschüss!"),
    ),
    (
        ("contact", "您好，我的订单{order}什么时候能到？"),
        ("agent", "您好，我是{agent}，马上为您查询。"),
        ("agent", "包裹今天下午送达，请您留意电话。"),
        ("contact", "好的，谢谢！"),
    ),
    (
        ("contact", "Bonjour, impossible de me connecter à mon compte ({email})."),
        ("agent", "Bonjour, ici {agent}. Je vous envoie un lien de réinitialisation."),
        ("contact", "Reçu, ça marche. Merci beaucoup ! 🎉"),
        ("agent", "Avec plaisir, très bonne journée."),
    ),
)


def conversation(rng: Random, agent: str, *, is_digital: bool, is_outbound: bool, leg: int, legs: int) -> list[Turn]:
    """The turns of one leg of a dialog: every leg but the last ends with a transfer, the next takes over."""
    slots = _slots(rng, agent)
    if is_digital and legs == 1 and rng.random() < 0.08:
        return [(role, text.format_map(slots)) for role, text in rng.choice(OTHER_LANGUAGES)]
    topic = rng.choice(TOPICS)
    slots["topic"] = topic.name
    turns = _opening(rng, topic, is_outbound=is_outbound, is_handover=leg > 0)
    exchanges = [pair for pair in topic.exchanges[:-1] if rng.random() < 0.85] + [topic.exchanges[-1]]
    if rng.random() < 0.4:
        exchanges.insert(rng.randrange(len(exchanges)), rng.choice(FILLERS))
    if leg < legs - 1:
        exchanges = [
            *exchanges[:2],
            ("For this I have to put you through to a colleague, please stay with me.", "All right."),
        ]
    for ask, answer in exchanges:
        turns += [("agent", ask), ("contact", answer)]
    if leg == legs - 1:
        thanks = rng.choice(EMOJI_THANKS if is_digital and rng.random() < 0.5 else THANKS)
        turns += [("agent", rng.choice(topic.outcomes)), ("contact", thanks), ("agent", rng.choice(CLOSINGS))]
    return [(role, text.format_map(slots)) for role, text in turns]


def _opening(rng: Random, topic: Topic, *, is_outbound: bool, is_handover: bool) -> list[Turn]:
    if is_handover:
        return [("agent", rng.choice(HANDOVERS)), ("contact", "Okay, I hope you can solve it.")]
    if is_outbound:
        return [("agent", rng.choice(CALLBACKS)), ("contact", "Yes, hello. " + rng.choice(topic.problems))]
    return [("agent", rng.choice(GREETINGS)), ("contact", rng.choice(topic.problems))]


def _slots(rng: Random, agent: str) -> dict[str, str]:
    first, last = rng.choice(FIRST), rng.choice(LAST)
    return {
        "agent": agent,
        "first": first,
        "last": last,
        "order": f"{rng.choice('ABKNRX')}{rng.randrange(10**6, 10**7)}",
        "account": f"{rng.randrange(10**3, 10**4)} {rng.randrange(10**3, 10**4)}",
        "amount": f"{rng.choice('$€£')}{rng.randrange(5, 240)}.{rng.choice(('00', '49', '90', '99'))}",
        "postcode": f"{rng.randrange(10000, 99999)}",
        "email": f"{first.lower()}.{last.lower().replace(chr(39), '')}@example.com",
        "code": f"{rng.randrange(10**5, 10**6)}",
        "two": f"{rng.randrange(10, 100)}",
        "day": rng.choice(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")),
        "part": rng.choice(("morning", "afternoon", "evening")),
        "item": rng.choice(("coffee machine", "winter jacket", "headset", "desk lamp", "pair of boots", "phone case")),
    }
