from stillhouse.analysis.report.charts import mark


def test_sixteen_sets_of_a_chart_are_told_apart():
    assert len({mark(i) for i in range(16)}) == 16
