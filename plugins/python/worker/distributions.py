"""Which distribution brings a module, where the names differ. Loaded when a module is missing."""

DISTRIBUTIONS = {
    'Crypto': 'pycryptodome', 'Cryptodome': 'pycryptodomex', 'MySQLdb': 'mysqlclient', 'OpenSSL': 'pyOpenSSL',
    'PIL': 'Pillow', 'attr': 'attrs', 'bs4': 'beautifulsoup4', 'cairosvg': 'CairoSVG',
    'cv2': 'opencv-python-headless', 'dateutil': 'python-dateutil', 'discord': 'discord.py', 'docx': 'python-docx',
    'dotenv': 'python-dotenv', 'fitz': 'PyMuPDF', 'git': 'GitPython', 'github': 'PyGithub', 'grpc': 'grpcio',
    'jose': 'python-jose', 'jwt': 'PyJWT', 'kafka': 'kafka-python',
    'magic': 'python-magic', 'markdown': 'Markdown', 'mpl_toolkits': 'matplotlib', 'multipart': 'python-multipart',
    'mysql': 'mysql-connector-python', 'nacl': 'PyNaCl', 'paho': 'paho-mqtt',
    'pkg_resources': 'setuptools', 'pptx': 'python-pptx', 'psycopg2': 'psycopg2-binary', 'pylab': 'matplotlib',
    'pymysql': 'PyMySQL', 'rest_framework': 'djangorestframework',
    'ruamel': 'ruamel.yaml', 'serial': 'pyserial', 'skimage': 'scikit-image', 'sklearn': 'scikit-learn',
    'slugify': 'python-slugify', 'socks': 'PySocks', 'telegram': 'python-telegram-bot', 'usb': 'pyusb',
    'websocket': 'websocket-client', 'wx': 'wxPython', 'yaml': 'PyYAML', 'zmq': 'pyzmq'}
