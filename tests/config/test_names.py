from nerve.config.names import closest, module_name, sense_name


def test_a_senses_name_and_its_folder_turn_into_each_other():
    assert module_name("cpu-usage") == "cpu_usage"
    assert sense_name("cpu_usage") == "cpu-usage"


def test_the_closest_name_is_the_one_that_was_meant():
    assert closest("timout", ["timeout", "throttle"]) == "timeout"
    assert closest("cpu_usage", ["cpu-usage", "disk"]) == "cpu-usage"


def test_nothing_near_is_no_suggestion():
    assert closest("zzz", ["timeout"]) is None
    assert closest("x" * 10**6, ["timeout"]) is None
