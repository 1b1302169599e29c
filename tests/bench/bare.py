"""What starting a language costs without a platform: the yardstick of cold starts."""
import os
import statistics
import subprocess
import time

from functions import BARE, BARE_GO


def command(bench, language):
    if language == 'go':
        source = bench.cache / 'bare.go'
        if not source.exists():
            source.write_text(BARE_GO)
        return [bench.compiled(source)]
    return [bench.interpreter(language), *BARE[language]]


def bare_start(bench, language, count):
    """Median milliseconds from the start of a program that does nothing to its end."""
    program = command(bench, language)
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        subprocess.run(program, stdin=subprocess.DEVNULL, check=True)
        times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times)


def bare_cost(bench, language, count):
    """Milliseconds of one core that a start costs while every core starts one after the other."""
    program = command(bench, language)
    cores = os.cpu_count()
    begin = time.perf_counter()
    for _ in range(count):
        together = [subprocess.Popen(program, stdin=subprocess.DEVNULL) for _ in range(cores)]
        for process in together:
            process.wait()
    return (time.perf_counter() - begin) * 1000 / count
