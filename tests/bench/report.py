"""What is printed and written: tables of medians, targets beside measurements, the machine."""
import os
import pathlib
import platform
import re
import subprocess
import time


def number(value):
    if value is None:
        return '-'
    if abs(value) >= 100:
        return f'{value:.0f}'
    return f'{value:.1f}' if abs(value) >= 10 else f'{value:.2f}'


def table(records, section):
    """Medians over the rounds, as lines of text."""
    columns = [c for c in records.columns(section.NAME) if c != 'requests']
    rows = [['', '', '', *columns, 'errors']]
    for language, case, side in records.rows(section.NAME):
        rows.append([language, case, side,
                     *(number(records.median(section.NAME, language, case, side, c)) for c in columns),
                     str(records.errors(section.NAME, language, case, side))])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [section.TITLE, '', *('  '.join(cell.ljust(w) if i < 3 else cell.rjust(w)
                                           for i, (cell, w) in enumerate(zip(row, widths))).rstrip() for row in rows)]


def targets(section, records):
    return [v for v in section.verdicts(records) if v.measured is not None]


def target_lines(section, records):
    lines = []
    for v in targets(section, records):
        sign = '>=' if v.at_least else '<='
        lines.append(f'  {"met   " if v.met else "MISSED"}  {v.what}: {number(v.measured)} {v.unit} '
                     f'({sign} {number(v.target)} {v.unit})')
    return lines


def markdown(sections, records):
    """The table of results of docs/benchmarks.md."""
    lines = ['| | target | measured | |', '|---|---|---|---|']
    for section in sections:
        for v in targets(section, records):
            sign = '>=' if v.at_least else '<='
            lines.append(f'| {section.NAME}: {v.what} | {sign} {number(v.target)} {v.unit} | {number(v.measured)} {v.unit} | '
                         f'{"met" if v.met else "**missed**"} |')
    return lines


def machine():
    """What the numbers were measured on."""
    def first_line(*command):
        try:
            return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.decode().splitlines()[0]
        except (OSError, IndexError):
            return None
    model = re.search(r'model name\s*: (.*)', pathlib.Path('/proc/cpuinfo').read_text())
    memory = re.search(r'MemTotal:\s*(\d+)', pathlib.Path('/proc/meminfo').read_text())
    return {'when': time.strftime('%Y-%m-%dT%H:%M:%S%z'), 'processor': model and model.group(1), 'cores': os.cpu_count(),
            'memory_mb': int(memory.group(1)) // 1024, 'linux': platform.release(), 'load': os.getloadavg()[0],
            'root': os.geteuid() == 0, 'python': first_line('python3', '--version'), 'node': first_line('node', '--version'),
            'go': first_line('go', 'version'), 'platform': first_line(os.environ['CLOUDFUNCTION_BINARY'], '--version')}
