"""Two things at once."""
import threading

from arena import attack


def together(*work):
    results = [None] * len(work)

    def run(index):
        results[index] = work[index]()
    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def code(number):
    return f'def handler(event): return {number}\n'


@attack('two updates at once', 'python')
def _(arena, runtime):
    name = arena.function(runtime, code(0))
    for round_ in range(3):
        answers = together(*[lambda n=n: arena.call('PUT', f'/api/v1/functions/{name}', {
            'runtime': runtime, 'handler': 'handler', 'code': code(n)}) for n in range(1, 5)])
        assert all(a.status in (200, 201, 409) for a in answers), answers
        assert any(a.status < 300 for a in answers), answers
        assert arena.result(arena.invoke(name)) in range(1, 5)


@attack('updates while it is called', 'python', 'node')
def _(arena, runtime):
    texts = {'python': code, 'node': lambda n: f'const handler = () => {n}'}[runtime]
    name = arena.function(runtime, texts(0))
    stop, wrong, seen = threading.Event(), [], set()

    def call():
        while not stop.is_set():
            answer = arena.invoke(name)
            if answer.status != 200 or answer.json['status'] != 'success':
                wrong.append(answer)
            else:
                seen.add(answer.json['result'])
    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, 6):
        answer = arena.call('PUT', f'/api/v1/functions/{name}', {'runtime': runtime, 'handler': 'handler', 'code': texts(number)})
        assert answer.status in (200, 201), answer
        assert arena.result(arena.invoke(name)) == number, 'an old version answered after the save'
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[:3]
    return f'{len(seen)} versions seen, no call failed'


@attack('delete while it runs', 'python')
def _(arena, runtime):
    name = arena.function(runtime, 'import time\ndef handler(event):\n    time.sleep(0.5)\n    return "fine"\n', concurrency=4)
    answers = together(*[lambda: arena.invoke(name) for _ in range(4)],
                       lambda: (__import__('time').sleep(0.2), arena.call('DELETE', f'/api/v1/functions/{name}'))[1])
    assert answers[-1].status in (200, 204), answers[-1]
    assert all(a.status in (200, 404, 409, 502, 503) for a in answers[:-1]), answers
    assert arena.invoke(name).status == 404


@attack('create and delete in a row', 'python')
def _(arena, runtime):
    for _ in range(8):
        name = arena.function(runtime, code(1))
        together(lambda: arena.invoke(name), lambda: arena.call('DELETE', f'/api/v1/functions/{name}'))


@attack('many functions at once', 'python')
def _(arena, runtime):
    names = [arena.function(runtime, code(n)) for n in range(12)]
    answers = together(*[lambda n=n: arena.invoke(n) for n in names])
    assert [arena.result(a) for a in answers] == list(range(12))
