import sys


def test_wider_networks_predict_nearer_to_the_exact_kernel(script, monkeypatch, capsys):
    flags = [
        *("--architecture=fc", "--depth=2", "--ipc=2", "--targets=60", "--draws=3"),
        *("--widths", "16", "16,256", "256,256"),
    ]
    monkeypatch.setenv("NPROC", "1")
    monkeypatch.setattr(sys, "argv", ["feature_widths.py", *flags])
    script.main()
    headline, *_, narrow, tapered, wide = capsys.readouterr().out.splitlines()
    assert headline.startswith("8 networks, fc on digits, 20 images")
    errors = [float(row.split(" | ")[1]) for row in (narrow, tapered, wide)]
    assert errors[0] > errors[1] > errors[2] > 0
    assert narrow.endswith(" 1.00 |")
