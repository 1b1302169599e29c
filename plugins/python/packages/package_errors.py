"""What pip said when it failed, in words for the author of a function. Pure; used by packages.py.

explain() gives {"kind", "message", "hint", "name"}: `name` is the package at fault, as far as one can tell, so that the
caller can find the line that asks for it. Reads what pip 18 to 25 print; what it does not know is passed on as it is.
"""
import platform
import re
import sys

PYTHON = '%d.%d' % sys.version_info[:2]
NEWEST = 6

SPELLING = ('check the spelling; the name to install can differ from the name to import, for example '
            'opencv-python-headless for cv2')
SOURCE_BUILDS = ('ask for a version that has a wheel, put a wheel into a folder wheels/ of the files, or have the '
                 'operator set executor.python.source_builds=true')
CERTIFICATE = ('name the authority\'s file as cert in pip.conf, or in PIP_CERT, for the user who starts the platform, and '
               'restart it')
NETWORK = ('what builds may reach is set by build.network, and the package index by pip.conf or PIP_INDEX_URL of the '
           'user who starts the platform; how long is waited for an answer is executor.python.registry_timeout')

# What no_processes.py says, in the last line of pip's traceback or in pip's own.
PROGRAM = re.compile(r'^(?:ERROR: .*)?OSError: .*no program is started while packages are fetched or installed', re.M)


def result(kind, message, hint='', name=''):
    return {'kind': kind, 'message': message[:900], 'hint': hint[:900], 'name': name}


def normal(name):
    return re.sub(r'[-_.]+', '-', name).lower()


def name_in(requirement):
    found = re.match(r'\s*([A-Za-z0-9][A-Za-z0-9._-]*)', requirement)
    return found.group(1) if found else ''


def distribution_of(module):
    """What to install for a module whose own name somebody asked for; empty when that is nothing else."""
    try:
        from distributions import DISTRIBUTIONS
    except ImportError:  # it lies beside the worker's files
        return ''
    found = {name.lower(): package for name, package in DISTRIBUTIONS.items()}.get(module.lower())
    return 'the module %s is installed as %s' % (module, found) if found else ''


def explain(said, log, locked=False, vendored=False):
    """`locked`: a lock named the files. `vendored`: they had to be among the function's own wheels."""
    missing = missing_version(said, log, locked) if vendored else None
    if missing and missing['kind'] == 'not_found':
        name = name_in(missing['requirement'])
        by = re.search(r'there is no package "[^"]*" in the package index( \(.*? needs it\))?', missing['message'])
        return dict(missing, message='%s is not among the wheels in wheels/, beside which nothing is fetched%s'
                    % (name, by.group(1) or '' if by else ''),
                    hint='put its wheel into wheels/ as well (`pip download -d wheels -r requirements.txt` fills the '
                         'folder), or leave wheels/ out to have everything installed')
    for judge in (program, hashes, conflict, missing_version, refused_access, unreachable, compiler, disk):
        found = judge(said, log, locked)
        if found:
            return found
    errors = [line[7:] for line in said.splitlines() if line.startswith('ERROR: ')]
    if not errors or errors[0] == 'Exception:':  # the end of a traceback says more
        errors = [line for line in said.splitlines() if line.strip()][-1:]
    return result('failed', 'pip failed: ' + ('; '.join(errors[:3]) or 'it said nothing'), 'the build log has all of it')


def program(said, log, locked):
    """pip would have built something, or called version control; for packages of the index it never has to."""
    if not PROGRAM.search(said):
        return None
    named = re.findall(r'^Collecting ([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])? ?@ ?(?:\w+://(?:[^/@\s]*@)?)?([^\s#?]+)', said, re.M)
    name, address = named[-1] if named else ('', '')
    return result(
        'own_address', '%s, for which a package names an address of its own%s, would have to be built from source'
        % (name or 'something', ' (%s)' % address[:200] if address else ''),
        'packages come as wheels from the package index; ask for another version of what needs it, or put the wheels of all '
        'packages into a folder wheels/ of the files', name)


def hashes(said, log, locked):
    if 'DO NOT MATCH THE HASHES' in said:
        package = re.search(r'^\s+(\S.*?) from \S+', said.partition('DO NOT MATCH')[2], re.M)
        package = re.sub(r'\s*\(from .*', '', package.group(1)) if package else 'a package'
        expected = re.search(r'Expected sha\d+\s+(?:or\s+)?(\w+)', said)
        got = re.search(r'Got\s+(\w+)', said)
        return result(
            'hash_differs', 'the file of %s is not the one that was asked for: its hash is %s, not %s'
            % (package, got.group(1) if got else '?', expected.group(1) if expected else '?'),
            'somebody replaced the file in the package index; if that is as it should be, ask for the new hash, or have '
            'versions chosen anew', name_in(package))
    if 'Hashes are required in --require-hashes mode' in said or 'In --require-hashes mode, all' in said:
        package = re.search(r'^\s{4}([A-Za-z0-9][\w.-]*)', said.partition('--require-hashes mode')[2], re.M)
        name = package.group(1) if package else ''
        return result('hash_missing', 'where one package has a hash all need one, and a version: %s has none'
                      % (name or 'some package'),
                      'add name==version --hash=... for it, also where only another package needs it, or leave the '
                      'hashes out', name)
    return None


def conflict(said, log, locked):
    twice = re.search(r'Double requirement given: (\S+).*?already in (\S+)', said)
    if twice:
        return result('conflict', '%s and %s are asked for at once' % (twice.group(1), twice.group(2)),
                      'leave one of the two lines out', name_in(twice.group(1)))
    if 'conflicting dependencies' not in said and 'ResolutionImpossible' not in said:
        return None
    reasons = []
    for line in said.partition('The conflict is caused by:')[2].splitlines()[1:]:
        if not line.strip():
            break
        reasons.append(line.strip().replace('The user requested', 'this function asks for'))
    first = re.search(r'Cannot install (.*?) because', said)
    ours = [reason for reason in reasons if reason.startswith('this function asks for ')]
    name = name_in(ours[0][len('this function asks for '):]) if ours else name_in(first.group(1)) if first else ''
    return result('conflict', 'the packages contradict each other: %s'
                  % ('; '.join(reasons) or (first.group(1) if first else 'see the build log')),
                  'ask for versions that fit together, or leave the choice open by giving no version', name)


def missing_version(said, log, locked):
    """With "requirement" as well: which package in which version."""
    found = re.search(r'Could not find a version that satisfies the requirement (.+?) \(from versions: ?(.*?)\)\s*$',
                      said, re.M)
    if not found:
        return None
    requirement = re.sub(r'\s*\(from [^()]*(\([^()]*\))?[^()]*\)', '', found.group(1)).strip()
    versions = [v.strip() for v in found.group(2).split(',') if v.strip() and v.strip() != 'none']
    name = name_in(requirement)
    skipped = Skipped(name, log)
    if not versions and not skipped.any():
        lost = unreachable(said, log, locked) or refused_access(said, log, locked)
        if lost:
            return lost
    return dict(without_file(name, requirement, found.group(1), versions, skipped, locked, said), requirement=requirement)


def without_file(name, requirement, chain, versions, skipped, locked, said):
    """Why none of the files of a package will do. `chain` is the requirement with who wanted it."""
    wanted_by = re.search(r'\(from ([A-Za-z0-9._-]+)(?:[=<>!~(].*?)?\)', chain)
    for_whom = ' (%s needs it)' % wanted_by.group(1) if wanted_by and wanted_by.group(1) != '-r' else ''
    if locked:
        return result('lock_lost', 'the lock names %s, which the package index does not offer any more%s'
                      % (requirement, ' for this Python' if skipped.any() else ''),
                      'have versions chosen anew, or put its wheel into a folder wheels/ of the files', name)
    exact = re.search(r'={2,3}\s*([^\s,;]+)', requirement)
    here = skipped.of_version(exact.group(1)) if exact else skipped
    if here.python:
        return result('other_python', '%s needs another Python (%s); this platform has %s%s'
                      % (requirement, ', '.join(sorted(here.python)[:3]), PYTHON, for_whom),
                      'ask for a version for Python %s%s' % (PYTHON, newest(versions)), name)
    if here.tags and not here.sources:
        return result('no_wheel', 'no wheel of %s fits Python %s on %s; there are wheels for %s%s'
                      % (requirement, PYTHON, platform.machine(), ', '.join(here.some_tags()), for_whom),
                      'ask for another version' + newest(versions), name)
    if here.sources:
        other = distribution_of(name)
        return result('no_wheel', '%s has no wheel for Python %s on %s, only its source%s%s'
                      % (requirement, PYTHON, platform.machine(),
                         '; there are wheels for ' + ', '.join(here.some_tags()) if here.tags else '', for_whom),
                      (other + '; else ' if other else '') + SOURCE_BUILDS + newest(versions), name)
    if versions:
        return result('no_version', 'no version of %s fits "%s"%s' % (name, requirement, for_whom),
                      'the newest of %d are %s' % (len(versions), ', '.join(versions[-NEWEST:])), name)
    if 'pre-release' in said:
        return result('no_version', '%s has only pre-releases' % name, 'write --pre on a line of its own', name)
    return result('not_found', 'there is no package "%s" in the package index%s' % (name, for_whom),
                  distribution_of(name) or SPELLING, name)


def newest(versions):
    return '; there are %s' % ', '.join(versions[-NEWEST:]) if versions else ''


class Skipped:
    """The files of a package that pip saw and did not take, by reason."""

    def __init__(self, name, log, lines=None):
        self.name = normal(name)
        self.lines = lines if lines is not None else [
            line for line in log.splitlines()
            if ('Skipping link:' in line or 'Link requires a different Python' in line) and self.is_mine(line)]
        self.sources = [line for line in self.lines if 'No sources permitted' in line]
        self.tags = set()
        self.python = set()
        for line in self.lines:
            tags = re.search(r"none of the wheel's tags \((.*?)\)", line) or re.search(
                r'-([^-/\s]+-[^-/\s]+-[^-/\s]+)\.whl', line if 'compatible' in line else '')
            if tags:
                self.tags.update(tag.strip() for tag in tags.group(1).split(','))
            python = re.search(r"different Python \(\S+ not in: ?'?([^')]*)'?\)", line)
            if python:
                self.python.add(python.group(1))

    def is_mine(self, line):
        return any(normal(found).startswith(self.name + '-') for found in re.findall(r'/([^/#?\s]+)(?:[#?\s)]|$)', line))

    def of_version(self, version):
        """Those of one version; `version` may end in `.*`."""
        begin = self.name + '-' + normal(version.rstrip('*').rstrip('.'))
        return Skipped(self.name, '', [line for line in self.lines if any(
            normal(found).startswith(begin) and not normal(found)[len(begin):len(begin) + 1].isdigit()
            for found in re.findall(r'/([^/#?\s]+)', line))])

    def any(self):
        return bool(self.lines)

    def some_tags(self):
        """For whom there are wheels: versions of Python for this kind of machine, else other kinds of machines."""
        machine = platform.machine()
        here = [tag for tag in self.tags if ('linux' in tag and tag.endswith(machine)) or tag.endswith('-any')]
        versions = sorted({(int(found.group(1)), int(found.group(2) or 0)) for found in
                           (re.match(r'(?:cp|py)(\d)(\d*)-', tag) for tag in here) if found})
        if versions:
            return ['Python ' + ', '.join('%d.%d' % version if version[1] else str(version[0]) for version in versions[-6:])]
        return sorted({tag.rpartition('-')[2] for tag in self.tags})[:6]


def refused_access(said, log, locked):
    found = re.search(r'(?:HTTP error |: )?(401|403|407|5\d\d) (?:Client|Server) Error: ?([\w ]*?) for url: '
                      r'https?://([^/\s]+)', said + log)
    if not found:
        found = re.search(r'HTTP error (401|403|407|5\d\d) while getting https?://([^/\s]+)()', said)
    if not found:
        return None
    host = next((group for group in found.groups()[1:] if group and '.' in group), 'the package index').rpartition('@')[2]
    if found.group(1)[0] == '5':
        return result('index_failed', 'the package index %s failed (HTTP %s)' % (host, found.group(1)), 'try again later')
    return result('index_refused', 'the package index %s refuses access (HTTP %s)' % (host, found.group(1)),
                  'the operator\'s pip.conf or ~/.netrc needs a login for it')


def unreachable(said, log, locked):
    text = said + '\n' + log
    if not re.search(r'connection broken by|NewConnectionError|Max retries exceeded|ConnectTimeoutError|ReadTimeoutError|'
                     r'connection error:|ProxyError|SSLError|Connection aborted|Name or service not known', text):
        return None
    host = re.search(r"host='([^']+)', port=(\d+)", text) or re.search(r'Could not fetch URL https?://(?:\S+@)?([^/:\s]+)()',
                                                                         text)
    where = host.group(1) + (':' + host.group(2) if host.group(2) not in ('', '443', '80') else '') if host else \
        'the package index'
    for pattern, why in ((r'CERTIFICATE_VERIFY_FAILED|certificate verify failed', 'its certificate is not trusted'),
                         (r'ProxyError|Cannot connect to proxy', 'the proxy does not answer'),
                         (r'Name or service not known|name resolution|No address associated|nodename', 'its name is not known'),
                         (r'Connection refused|Permission denied|Operation not permitted|prohibited', 'the connection is refused'),
                         (r'Network is unreachable|No route to host', 'there is no way to it'),
                         (r'timed out|Timeout', 'it does not answer')):
        if re.search(pattern, text):
            break
    else:
        why = 'the connection broke'
    hint = CERTIFICATE if 'certificate' in why else NETWORK
    return result('network', 'the package index cannot be reached: %s: %s' % (where, why), hint)


def compiler(said, log, locked):
    found = re.search(r"(?:command '?([\w.+-]*(?:gcc|g\+\+|cc|clang|cmake|cargo|rustc|gfortran|ninja)[\w.+-]*)'? failed|"
                      r"unable to execute '?([\w.+-]+)'?|([\w./+-]*(?:gcc|g\+\+|cargo|rustc|cmake)): (?:command )?not found)",
                      said)
    if found and re.search(r'No such file|not found|unable to execute|Rust', said):
        tool = next(group for group in found.groups() if group)
        return result('compiler', 'building it from source needs %s, which this machine does not have' % tool,
                      'the operator can install it (`apt install build-essential python3-dev` for C), or ask for a version '
                      'with a wheel')
    return None


def disk(said, log, locked):
    if 'No space left on device' in said:
        return result('disk', 'there was no room left for the packages',
                      'ask for fewer or smaller packages; build.disk_mb is the limit of a build')
    return None
