"""What callers were told, kept outside of the platform: the only witness after a plug was pulled."""
import random
import threading

FUNCTIONS = '/api/v1/functions'
CODE = 'def handler(event, context):\n    return %d\n'


class Ledger:
    """One caller's functions. `known` is what was acknowledged ({name: number}, None: deleted), `open` what was under
    way when the answer did not come: either outcome is right."""

    runtime = 'python'

    def __init__(self, prefix, seed):
        self.prefix = prefix
        self.random = random.Random(seed)
        self.known = {}
        self.open = {}
        self.count = 0

    def sources(self, number):
        """The fields of a function that returns `number`."""
        return {'code': CODE % number}

    def step(self, call):
        """One random call; `call(method, path, body)` answers or raises OSError."""
        self.count += 1
        living = [name for name, number in self.known.items() if number is not None and name not in self.open]
        kind = self.random.choice(['create', 'update', 'invoke', 'invoke', 'delete'] if living else ['create'])
        if kind == 'create':
            return self.change(call, 'PUT', f'{self.prefix}-{self.count}', self.count)
        name = self.random.choice(living)
        if kind == 'update':
            return self.change(call, 'PATCH', name, self.count)
        if kind == 'delete':
            return self.change(call, 'DELETE', name, None)
        answer = call('POST', f'{FUNCTIONS}/{name}/invoke', {})
        if answer.status == 200 and answer.json['result'] != self.known[name]:
            raise AssertionError(f'{name} answered {answer.json["result"]}, acknowledged was {self.known[name]}')
        return answer

    def change(self, call, method, name, number):
        body = None if number is None else {**self.sources(number), **({'runtime': self.runtime} if method == 'PUT' else {})}
        self.open[name] = number
        answer = call(method, f'{FUNCTIONS}/{name}', body)
        if answer.status < 300:
            self.known[name] = number
        elif answer.status not in (429, 500, 502, 503, 507, 422):
            raise AssertionError(f'{method} {name}: {answer}')
        # A refusal by a platform whose launcher or disk fails is an acknowledgement, too: nothing has changed.
        del self.open[name]
        return answer

    def check(self, call):
        """Holds the platform to the ledger; takes over what turned out of the open ones."""
        for name in set(self.known) | set(self.open):
            allowed = {self.known.get(name)} | ({self.open[name]} if name in self.open else set())
            document = call('GET', f'{FUNCTIONS}/{name}', None)
            if document.status == 404:
                now = None
            else:
                if document.status != 200 or document.json['state'] != 'ready':
                    raise AssertionError(f'{name} is half there: {document}')
                answer = call('POST', f'{FUNCTIONS}/{name}/invoke', {})
                if answer.status != 200:
                    raise AssertionError(f'{name} cannot be called: {answer}')
                now = answer.json['result']
                if any(document.json[field] != value for field, value in self.sources(now).items()):
                    raise AssertionError(f'{name} runs other code than it shows: {now}, {document}')
            if now not in allowed:
                raise AssertionError(f'{name} is {now}; acknowledged {self.known.get(name)}, open {self.open.get(name)}')
            self.known[name] = now
        self.open.clear()

    def forget(self):
        """Functions that are gone need not be asked for again."""
        self.known = {name: number for name, number in self.known.items() if number is not None}


class Callers:
    """Ledgers at work, a thread each, until `stop`."""

    def __init__(self, ledgers, call):
        self.stopping = threading.Event()
        self.failures = []
        self.threads = [threading.Thread(target=self.work, args=(ledger, call)) for ledger in ledgers]

    def work(self, ledger, call):
        while not self.stopping.is_set():
            try:
                ledger.step(call)
            except OSError:
                return
            except Exception as failure:
                self.failures.append(failure)
                return

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(120)
        if self.failures:
            raise self.failures[0]
