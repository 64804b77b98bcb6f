import threading

from threadpoolctl import threadpool_info

from stillhouse.methods.kernel_regression.one_thread import one_thread, usual_threads

PATIENCE = 60


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_products_have_one_thread_and_then_as_many_as_before():
    before = blas_threads()
    with one_thread():
        assert blas_threads() == {1}
    assert blas_threads() == before


def test_nobody_limits_threads_while_another_thread_wants_the_usual_ones():
    usual, limited = threading.Event(), threading.Event()

    def limit():
        usual.wait(PATIENCE)
        with one_thread():
            limited.set()

    thread = threading.Thread(target=limit)
    thread.start()
    before = blas_threads()
    with usual_threads():
        usual.set()
        assert not limited.wait(0.2)
        assert blas_threads() == before
    thread.join(PATIENCE)
    assert limited.is_set()
