from __future__ import annotations

from persbench.models.chat import ChatModel, Message, ScriptedChatModel

ASKED: list[Message] = [{"role": "system", "content": "You are Ada."}, {"role": "user", "content": "Do you like rain?"}]
OTHER: list[Message] = [{"role": "system", "content": "You are Bo."}, ASKED[1]]


def test_the_fake_is_a_chat_model_with_scripted_replies() -> None:
    model: ChatModel = ScriptedChatModel({"Do you like rain?": "Only from indoors, honestly."})
    assert model.generate([ASKED], max_new_tokens=20, seed=0) == ["Only from indoors, honestly."]
    assert model.generate([ASKED], max_new_tokens=2, seed=0) == ["Only from"]


def test_unscripted_replies_are_fixed_by_conversation_and_seed() -> None:
    model = ScriptedChatModel()
    together = model.generate([ASKED, OTHER], max_new_tokens=8, seed=3)
    assert together == [model.generate([c], max_new_tokens=8, seed=3)[0] for c in (ASKED, OTHER)]
    assert together[0] != together[1]
    assert model.generate([ASKED], max_new_tokens=8, seed=4)[0] != together[0]
    assert all(1 <= len(reply.split()) <= 8 for reply in together)
    assert model.generate([[]], max_new_tokens=0, seed=0) == [""]


def test_loglikelihood_is_a_sum_over_bytes_that_depends_on_the_conversation() -> None:
    model = ScriptedChatModel()
    short, long, elsewhere, empty = model.loglikelihood([(ASKED, "yé"), (ASKED, "yés"), (OTHER, "yé"), (ASKED, "")])
    assert empty == 0
    assert long <= short < 0
    assert long - short > -4  # one more byte takes away less than four nats
    assert elsewhere != short
    # Pinned: other tests' expected numbers rest on these values on every machine.
    assert short == -8.0625
