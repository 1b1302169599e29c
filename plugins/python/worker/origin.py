"""Which invocation a thread works for: the one that started it, or in a pool the one that has given it what it runs.

Otherwise a thread that an invocation has left behind would print into the log of the next one. Context variables do not
tell: a new thread has none of its starter's. Python is asked where it starts threads and where its pools are given
work, so that invocations that do neither pay nothing.
"""
import _thread


class _Thread(_thread._local):
    id = 0  # of the main thread, and of those that were started outside of invocations or by native code


thread = _Thread()
# Whom a thread works for that is started now; replaced by the modes in which several invocations run at once.
starter = [lambda: thread.id or part('wire').current[0]]


def _with_origin(start):
    def start_thread(function, *given, **named):
        id = starter[0]()

        def run(*arguments, **options):
            thread.id = id
            return function(*arguments, **options)
        return start(run, *given, **named)
    return start_thread


def adapt_pools(module):
    """Called with `concurrent.futures.thread` when it is imported; run_in_executor uses it, too."""
    item = module._WorkItem
    make, run = item.__init__, item.run

    def make_item(self, *given):
        make(self, *given)
        self.cloudfunction_id = starter[0]()

    def run_item(self, *given):
        thread.id = self.cloudfunction_id
        run(self, *given)
    item.__init__, item.run = make_item, run_item


def install():
    for name in ('start_new_thread', 'start_new', 'start_joinable_thread'):
        if hasattr(_thread, name):
            setattr(_thread, name, _with_origin(getattr(_thread, name)))
