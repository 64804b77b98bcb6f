def test_both_sides_stand_beside_each_other_with_their_ratio(script):
    steps = [(size, method) for size in ("28x28x1", "8x8x3") for method in script.METHODS]
    ours = {(*step, "stillhouse"): 0.1 for step in steps}
    theirs = {(*step, "torch"): 0.25 for step in steps}
    table = script.as_table(ours | theirs, ["stillhouse", "torch"])
    assert "| 28x28x1 | dm | 100 | 250 | 2.50 |" in table
    assert "| 8x8x3 | mtt | 100 | - |" in script.as_table(ours, ["stillhouse"])
