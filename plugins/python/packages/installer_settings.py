"""Asked once when the platform starts, outside of any sandbox: which pip there is and how its operator configured it.

Prints {"version", "environment", "mounts", "secrets"}: the environment that pip gets in the build sandbox while it may
use the network, and what that names on this machine: files and folders to mount, and among them those to hide before
code of a package runs. Settings come from the files and variables where pip itself looks; only those that say where
packages come from and how they are fetched are taken over. Python 3.7 or later.
"""
import configparser
import json
import os
import sys
from urllib.parse import quote, urlsplit, urlunsplit

# What may be taken over. The rest (target, user, constraint, log...) would change what is installed, or where.
SETTINGS = ('index-url', 'extra-index-url', 'find-links', 'no-index', 'trusted-host', 'cert', 'client-cert', 'proxy',
            'timeout', 'retries')
LISTS = ('extra-index-url', 'find-links', 'trusted-host')
OTHER_NAMES = {'default-timeout': 'timeout', 'pypi-url': 'index-url'}
VARIABLES = ('HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'all_proxy', 'no_proxy',
             'SSL_CERT_FILE', 'SSL_CERT_DIR', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE')
# Every sandbox has these.
SEEN_ANYWAY = ('/usr/', '/lib/', '/etc/ssl/certs', '/etc/pki/tls/certs')


def home():
    return os.environ.get('HOME') or os.path.expanduser('~')


def configuration_files():
    """In pip's order: what comes later wins."""
    files = [os.path.join(folder, 'pip', 'pip.conf')
             for folder in reversed((os.environ.get('XDG_CONFIG_DIRS') or '/etc/xdg').split(':')) if folder]
    files.append('/etc/pip.conf')
    files.append(os.path.join(home(), '.pip', 'pip.conf'))
    files.append(os.path.join(os.environ.get('XDG_CONFIG_HOME') or os.path.join(home(), '.config'), 'pip', 'pip.conf'))
    files.append(os.path.join(sys.prefix, 'pip.conf'))
    files.append(os.environ.get('PIP_CONFIG_FILE') or '')
    return [] if os.environ.get('PIP_CONFIG_FILE') == os.devnull else [file for file in files if file]


def settings():
    """{name: value} of SETTINGS; a command's own section wins over [global], a variable over both."""
    found = {}
    for file in configuration_files():
        parser = configparser.RawConfigParser()
        try:
            with open(file, encoding='utf-8') as text:
                parser.read_file(text)
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue
        for rank, section in enumerate(('global', 'install', 'download')):
            if parser.has_section(section):
                for name, value in parser.items(section):
                    found[rank, name.replace('_', '-').lower()] = value
    merged = {}
    for (_, name), value in sorted(found.items()):
        merged[OTHER_NAMES.get(name, name)] = value
    for name, value in os.environ.items():
        if name.startswith('PIP_') and value:
            name = name[4:].replace('_', '-').lower()
            merged[OTHER_NAMES.get(name, name)] = value
    return {name: value.strip() for name, value in merged.items() if name in SETTINGS and value.strip()}


def with_credentials(url):
    """The address with the user's login for its host, if ~/.netrc has one: the file itself stays outside."""
    import netrc
    parts = urlsplit(url)
    if parts.scheme not in ('http', 'https') or parts.username is not None or not parts.hostname:
        return url
    file = os.environ.get('NETRC') or os.path.join(home(), '.netrc')
    try:
        login = netrc.netrc(file).hosts.get(parts.hostname)
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return url
    if not login or not login[2]:
        return url
    return urlunsplit(parts._replace(netloc='%s:%s@%s' % (quote(login[0] or '', safe=''), quote(login[2], safe=''),
                                                          parts.netloc)))


def local_path(value):
    """The path on this machine that a setting names, or ''."""
    if value.startswith('file:'):
        return urlsplit(value).path
    if '://' in value:
        return ''
    return os.path.join(home(), value[2:]) if value.startswith('~/') else os.path.abspath(value)


def described():
    mounts, secrets, environment = [], [], []
    for name, value in sorted(settings().items()):
        if name in LISTS or name == 'index-url':
            places = []
            for place in value.split():
                path = '' if name == 'trusted-host' else local_path(place)
                if path:
                    mounts.append(path)
                    place = place if place.startswith('file:') else path
                elif name != 'trusted-host':
                    place = with_credentials(place)
                places.append(place)
            value = ' '.join(places)
        elif name in ('cert', 'client-cert'):
            value = local_path(value)
            mounts.append(value)
            if name == 'client-cert':
                secrets.append(value)
        environment.append(['PIP_' + name.replace('-', '_').upper(), value])
    for name in VARIABLES:
        value = os.environ.get(name)
        if value:
            environment.append([name, value])
            if name.startswith(('SSL_', 'REQUESTS_', 'CURL_')):
                mounts.append(local_path(value))
    there = []
    for path in mounts:
        if os.path.exists(path) and path != '/' and path not in there and not path.startswith(SEEN_ANYWAY):
            there.append(path)
    return environment, there, secrets


def main():
    try:
        import pip
        version = str(pip.__version__)
        folder = os.path.dirname(os.path.realpath(pip.__file__))
        if os.stat(folder).st_mode & 5 != 5:
            version = ''
    except Exception:  # none, or a broken one
        version = ''
    environment, mounts, secrets = described()
    print(json.dumps({'version': version, 'environment': environment, 'mounts': mounts, 'secrets': secrets}))


if __name__ == '__main__':
    main()
