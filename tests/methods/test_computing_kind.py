import pytest

from stillhouse.methods.computing_kind import (
    SERVER,
    Difference,
    computing_kind,
    first_difference,
    in_brief,
)

TRAITS = {
    **{"numba": "0.68.1", "numba_target": "sapphirerapids (fma avx2 avx512f)"},
    **{"numpy": "1.26.4", "numpy_vectors": "AVX512_SKX", "blas": "openblas 0.3.23 SkylakeX"},
    **{"jaxlib": "0.4.13", "xla_flags": "none", "xla_processors": "2", "gpu_libraries": ""},
}


def kind(backend="fused", device="cpu: Intel P (avx2)", **traits):
    return computing_kind(backend, device, "Intel P (avx2)", {**TRAITS, **traits})


def test_a_kind_names_all_that_computes():
    assert computing_kind("xla", "cpu: Intel", "Intel") == "xla on cpu: Intel"
    assert computing_kind("cuda", "NVIDIA A", "Intel") == "cuda on NVIDIA A beside cpu: Intel"
    assert kind().startswith("fused on cpu: Intel P (avx2); Numba 0.68.1; Numba for sapphirerapids")
    assert in_brief(kind()) == "fused on cpu: Intel P (avx2)"
    assert kind().isprintable() and "; " not in in_brief(kind("cuda", "NVIDIA A; B"))


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        ("xla on a", "fused on b", ("by xla", "by fused")),
        ("xla on a", "xla on b", ("on a", "on b")),
        ("cuda on a beside cpu: c", "cuda on a beside cpu: d", None),
    ],
)
def test_backends_and_devices_differ_first(ours, theirs, words):
    whole = (f"on {ours.split(' on ')[1]}", f"on {theirs.split(' on ')[1]}")
    found = first_difference(ours, theirs)
    assert (found.ours, found.theirs) == (words or whole)
    assert first_difference(ours, ours) is None


@pytest.mark.parametrize(
    ("trait", "value", "words", "advice"),
    [
        ("numba", "0.60.0", "Numba", "the same version"),
        ("numba_target", "x86-64 (sse4.2)", "Numba for", "NUMBA_CPU_NAME=generic"),
        ("numpy", "2.0.0", "NumPy", "the same version"),
        ("numpy_vectors", "AVX2", "NumPy's loops up to", "NPY_DISABLE_CPU_FEATURES"),
        ("blas", "openblas 0.3.23 Haswell", "BLAS", "OPENBLAS_CORETYPE"),
    ],
)
def test_the_first_trait_that_differs_is_named_and_how_to_mend_it(trait, value, words, advice):
    found = first_difference(kind(), kind(**{trait: value}))
    assert (found.ours, found.theirs) == (f"with {words} {TRAITS[trait]}", f"with {words} {value}")
    assert advice in found.advice


def test_what_changes_no_bits_of_a_backend_is_not_compared():
    assert first_difference(kind(), kind(jaxlib="0.5.0", xla_flags="--a")) is None
    # The same loops, on another model.
    assert first_difference(kind(), kind(device="cpu: Intel Q (avx512f)")) is None
    assert first_difference(kind("xla"), kind("xla", jaxlib="0.5.0")) == Difference(
        "with jaxlib 0.4.13", "with jaxlib 0.5.0", "install the same version everywhere"
    )
    other = kind("xla", device="cpu: Intel Q (avx2)")
    assert first_difference(kind("xla"), other).theirs == "on cpu: Intel Q (avx2)"


def test_a_server_computes_by_linear_algebra_and_xla():
    assert "Numba" not in kind(SERVER)
    found = first_difference(kind(SERVER), kind(SERVER, blas="openblas 0.3.23 Haswell"))
    assert found.theirs == "with BLAS openblas 0.3.23 Haswell"


def test_what_an_earlier_release_did_not_name_is_no_difference():
    old = "fused on cpu: Intel P (avx2)"
    assert first_difference(old, kind()) is None
    assert first_difference("fused on cpu: Intel Q (avx2)", kind()).ours.endswith("Q (avx2)")
