from tc_core.model.scope import EMPTY_SCOPE, Scope


def test_names_of_dimensions_fill_them_and_the_rest_are_labels():
    scope = EMPTY_SCOPE.extended({"agent_id": "a", "user_id": 7, "session_id": None})
    assert (scope.agent_id, scope.session_id, dict(scope.labels)) == ("a", None, {"user_id": "7"})


def test_nothing_new_gives_the_same_scope():
    scope = Scope(agent_id="a", labels={"user_id": "u"})
    assert scope.extended({"agent_id": "a", "user_id": "u", "intent": None}) is scope


def test_what_no_database_keeps_is_replaced():
    scope = EMPTY_SCOPE.extended({"nul": "a\0b", "half": "\ud83d", "agent_id": "x\0"})
    assert dict(scope.labels) == {"nul": "a�b", "half": "?"}
    assert scope.agent_id == "x�"
