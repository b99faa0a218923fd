import time
from concurrent.futures import ThreadPoolExecutor

from networks import small_predictor
from servers import post, running, some_photo

HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n"


def wait_until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def slow_predictor(seconds):
    """A small network that takes its time, and the sizes of the batches that it was given."""
    predictor, sizes = small_predictor(), []
    predict = predictor.predict_prepared

    def predict_slowly(photos):
        sizes.append(len(photos))
        time.sleep(seconds)
        return predict(photos)

    predictor.predict_prepared = predict_slowly
    return predictor, sizes


def test_a_sender_that_leaves_while_its_photo_waits_frees_its_place_and_its_photo_is_not_computed():
    content = some_photo()
    predictor, sizes = slow_predictor(1.0)
    with (
        running({"small": predictor}, max_queue=2, max_batch=1) as server,
        server.http() as http,
        ThreadPoolExecutor(1) as pool,
    ):
        sizes.clear()
        first = pool.submit(post, http, content)
        wait_until(lambda: sizes == [1])
        with server.connect() as leaving:
            leaving.sendall(HEAD % len(content) + content)
            wait_until(lambda: len(server.service._batchers["small"]._queue) == 1)
            assert server.service.slots.taken == 2
        wait_until(lambda: server.service.slots.taken == 1, 0.9)  # while the first is still being computed
        assert post(http, content).status_code == first.result().status_code == 200
        assert sizes == [1, 1] and server.service.slots.taken == 0


def test_a_sender_that_leaves_while_its_photo_is_computed_frees_its_place():
    content = some_photo()
    predictor, sizes = slow_predictor(1.0)
    with running({"small": predictor}, max_queue=1) as server, server.http() as http:
        sizes.clear()
        with server.connect() as leaving:
            leaving.sendall(HEAD % len(content) + content)
            wait_until(lambda: sizes == [1])
        wait_until(lambda: server.service.slots.taken == 0, 0.9)
        assert post(http, content).status_code == 200


def test_requests_that_follow_each_other_on_one_connection_are_all_answered():
    content = some_photo()
    with running() as server, server.http() as http:
        assert [post(http, content).status_code for _ in range(5)] == [200] * 5
        with server.connect() as socket:
            socket.sendall((HEAD % len(content) + content) * 3)
            answer = b""
            while answer.count(b"HTTP/1.1 200") < 3:
                part = socket.recv(65536)
                assert part
                answer += part
