import numpy as np
import pytest

from stillhouse.data.transforms.zca import ZCA


def normalised_rows(images, x_train):
    """Standardise, centre each image, divide it by its norm: float64 `[n, d]`, by NumPy alone."""
    x_train = x_train.astype(np.float64)
    rows = (images - x_train.mean(axis=(0, 1, 2))) / x_train.std(axis=(0, 1, 2))
    rows = rows.reshape(len(rows), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def many(rng):
    """400 images of 4x4x3, more than their 48 dimensions."""
    return rng.normal(size=(400, 4, 4, 3)).cumsum(axis=1).cumsum(axis=2) * 20 + 100


@pytest.fixture
def few(many):
    """20 images of 48 dimensions."""
    return many[:20]


@pytest.mark.parametrize("regularisation", [0.1, 1e-3])
def test_it_is_the_published_whitening(many, regularisation):
    """Against the singular value decomposition that the publication names."""
    rows = normalised_rows(many, many)
    moments = rows.T @ rows / len(rows)
    ridge = regularisation * np.trace(moments) / 48
    u, s, _ = np.linalg.svd(moments + ridge * np.eye(48))
    expected = (u / np.sqrt(s)) @ u.T
    transform = ZCA.fit(many, regularisation=regularisation)
    # The constant image is no direction of centred data; what W does to it never shows.
    centre = np.eye(48) - 1 / 48
    np.testing.assert_allclose(
        centre @ transform.whitening @ centre, centre @ expected @ centre, rtol=1e-4, atol=1e-4
    )
    result = transform.apply(many[:7]).reshape(7, -1)
    np.testing.assert_allclose(result, rows[:7] @ expected, rtol=1e-3, atol=1e-4)


def test_the_matrix_is_symmetric_and_positive(many):
    whitening = ZCA.fit(many).whitening
    assert whitening.dtype == np.float32
    np.testing.assert_array_equal(whitening, whitening.T)
    assert np.linalg.eigvalsh(whitening.astype(np.float64)).min() > 0


def test_whitened_eigenvalues_have_their_closed_form(many):
    transform = ZCA.fit(many)
    # Singular values of the rows, and so eigenvalues, without forming any covariance.
    s = np.linalg.svd(normalised_rows(many, many), compute_uv=False) ** 2 / len(many)
    whitened = transform.apply(many).reshape(len(many), -1).astype(np.float64)
    eigenvalues = np.linalg.eigvalsh(whitened.T @ whitened / len(many))[::-1]
    ridge = 0.1 / 48  # the trace is one: rows have unit norm
    np.testing.assert_allclose(eigenvalues, s / (s + ridge), atol=1e-5)


def test_directions_that_no_training_image_has_are_left_alone(few, rng):
    transform = ZCA.fit(few)
    whitening = transform.whitening.astype(np.float64)
    rows = normalised_rows(few, few)
    _, s, span = np.linalg.svd(rows, full_matrices=False)
    unknown = rng.normal(size=48)
    unknown -= span.T @ (span @ unknown)
    np.testing.assert_allclose(whitening @ unknown, unknown, atol=1e-4)
    eigenvalues = s**2 / 20
    factors = (eigenvalues + 0.1 / 48) ** -0.5
    np.testing.assert_allclose(span @ whitening @ span.T, np.diag(factors), atol=1e-3)


@pytest.mark.parametrize("images", ["many", "few"])
def test_inversion_undoes_the_whitening_and_gives_typical_contrast(images, request):
    images = request.getfixturevalue(images)
    transform = ZCA.fit(images)
    restored = transform.invert(transform.apply(images))
    mean, std = images.mean(axis=(0, 1, 2)), images.std(axis=(0, 1, 2))
    standardised = ((images - mean) / std).reshape(len(images), -1)
    norm = np.linalg.norm(standardised - standardised.mean(axis=1, keepdims=True), axis=1).mean()
    expected = norm * normalised_rows(images, images).reshape(images.shape) * std + mean
    np.testing.assert_allclose(restored, expected, atol=0.02)  # of about 100 grey levels


def test_inversion_takes_images_that_are_no_whitened_photographs(many, rng):
    transform = ZCA.fit(many)
    learned = rng.normal(size=(5, 4, 4, 3)).astype(np.float32)
    raw = transform.invert(learned)
    rows = transform.standardise.apply(raw).reshape(5, -1) / transform.norm
    np.testing.assert_allclose(rows @ transform.whitening, learned.reshape(5, -1), atol=1e-3)


def test_brightness_and_contrast_do_not_matter(many):
    transform = ZCA.fit(many)
    # On standardised images: the mean of each channel stays where it is.
    mean = many.mean(axis=(0, 1, 2))
    faint = (many[:5] - mean) * 0.3 + mean
    np.testing.assert_allclose(transform.apply(faint), transform.apply(many[:5]), atol=1e-4)


def test_an_image_without_contrast_becomes_zero(many):
    transform = ZCA.fit(many)
    # Equal in all pixels only after standardisation, and only up to rounding.
    level = many.mean(axis=(0, 1, 2)) + 0.37 * many.std(axis=(0, 1, 2))
    flat = np.broadcast_to(level, (1, 4, 4, 3))
    np.testing.assert_array_equal(transform.apply(flat), np.zeros((1, 4, 4, 3)))
    with_flat = ZCA.fit(np.concatenate([many, flat]))
    assert np.isfinite(with_flat.whitening).all()


def test_results_over_several_chunks_are_those_of_one(rng):
    # More images than are normalised at a time.
    images = rng.normal(size=(2500, 3, 3, 1)).cumsum(axis=1)
    transform = ZCA.fit(images)
    rows = normalised_rows(images, images)
    expected = rows @ transform.whitening.astype(np.float64)
    np.testing.assert_allclose(transform.apply(images).reshape(2500, -1), expected, atol=2e-5)


@pytest.mark.parametrize("regularisation", [0.0, -0.1, np.nan, np.inf])
def test_a_regularisation_that_is_not_positive_is_refused(many, regularisation):
    with pytest.raises(ValueError, match="`regularisation` must be a positive number"):
        ZCA.fit(many, regularisation=regularisation)


def test_images_without_any_contrast_are_refused():
    with pytest.raises(ValueError, match="no image with any contrast"):
        ZCA.fit(np.full((10, 4, 4, 1), 7.0))
