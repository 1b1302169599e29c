"""The targets as bars, as SVG: how much of each target is reached; the line is the target."""
import html

WIDTH, LEFT, LINE, HEIGHT, TOP = 900, 400, 620, 18, 34
MOST = 2.0  # of a target; longer bars end here
COLORS = {True: '#2e7d32', False: '#c62828'}


def reached(verdict):
    """1: exactly the target; more is better, whichever direction the target has."""
    if verdict.at_least:
        return verdict.measured / verdict.target
    return verdict.target / verdict.measured if verdict.measured > 0 else MOST


def draw(sections, records):
    bars = []
    for section in sections:
        bars += [(section.NAME, v) for v in section.verdicts(records) if v.measured is not None]
    height = TOP + HEIGHT * len(bars) + 12
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
             'font-family="sans-serif" font-size="11">',
             f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
             f'<text x="{LEFT}" y="14" fill="#555">longer is better; the line is the target, bars end at {MOST:g} times it</text>']
    for index, (name, verdict) in enumerate(bars):
        y = TOP + index * HEIGHT
        share = min(reached(verdict), MOST)
        parts.append(f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end" fill="#222">'
                     f'{html.escape(f"{name}: {verdict.what}")}</text>')
        parts.append(f'<rect x="{LEFT}" y="{y + 2}" width="{share * (LINE - LEFT):.1f}" height="{HEIGHT - 5}" '
                     f'fill="{COLORS[verdict.met]}"/>')
        parts.append(f'<text x="{LEFT + share * (LINE - LEFT) + 5:.1f}" y="{y + 12}" fill="#555">'
                     f'{reached(verdict):.2f}</text>')
    parts.append(f'<line x1="{LINE}" y1="{TOP - 8}" x2="{LINE}" y2="{height - 8}" stroke="#222"/>')
    return '\n'.join([*parts, '</svg>', ''])

