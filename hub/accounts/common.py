"""Stems of commonly used passwords, and how letters are written as digits.

Gathered from what password studies name year after year: words of the login page, keyboard
walks, first names, sports, seasons, characters of films, and the words of this trade.
"""

from __future__ import annotations

LEET = str.maketrans("0134578@$!+", "oleastbasit")
"""Digits and signs read as the letters they stand for."""

_STEMS = """
password passwort passwd passw0rd pass passphrase contrasena contraseña clave motdepasse senha
letmein welcome bienvenido willkommen changeme changeit default secret secreto temporary temp
login signin logon access admin administrator administrador superuser sysadmin root toor guest
user username usuario test tester testing demo example sample trustno qwerty qwertz azerty
qwert qwertyui qwertyuiop asdf asdfgh asdfghjk asdfghjkl zxcv zxcvbn zxcvbnm abcd abcdef
abcdefg abcdefgh abc iloveyou ilove iloveu loveyou loveme love lovely lover teamo tequiero
sunshine princess princesa monkey dragon tigger tiger lion eagle falcon phoenix panther shadow
master killer hunter ranger football futbol baseball basketball hockey soccer tennis golf
golfer rugby cricket yankees lakers cowboys steelers arsenal chelsea liverpool barcelona
realmadrid juventus superman batman spiderman ironman pokemon pikachu naruto starwars startrek
skywalker yoda matrix hobbit gandalf harrypotter mustang ferrari porsche mercedes corvette
camaro harley yamaha suzuki honda toyota nissan michael michelle jordan jennifer jessica daniel
andrew charlie thomas robert matthew joshua ashley amanda nicole george william martin david
richard joseph anthony samantha elizabeth alexander alejandro carlos antonio francisco fernando
gabriel sebastian rodrigo carolina valentina camila summer winter spring autumn verano invierno
primavera otono monday friday sunday january february august september october november
december enero febrero septiembre octubre noviembre diciembre computer internet windows
microsoft google facebook linkedin twitter samsung apple iphone android linux ubuntu debian
python java oracle cisco server network security hacker freedom whatever nothing blessed jesus
jesuschrist heaven angel angels cookie chocolate cheese banana orange flower butterfly purple
yellow silver golden diamond crystal rainbow sparkle cheeks ginger pepper buster bailey maggie
sophie lucky happy hello world helloworld goodbye please thankyou mypassword mypass thepassword
passpass fuckyou fuckme asshole bitch pussy biteme sexy playboy money business success winner
victory champion america canada mexico brasil chile santiago laserena argentina london paris
berlin madrid newyork chicago boston dallas texas california florida hawaii astronomy
astronomia astronomer telescope telescopio observatory observatorio observer spectrum spectra
spectrograph spectroscopy goodman goodmanlive soar soartelescope noirlab noao ctio gemini
cerropachon cerrotololo pachon tololo vicuna blanco hubble kepler galileo newton einstein
galaxy galaxia universe universo cosmos stars star estrella supernova pulsar quasar nebula
andromeda orion jupyter jupyterhub notebook pipeline iraf correcthorsebatterystaple opensesame
abracadabra supersecret topsecret verysecret
"""

COMMON_STEMS = frozenset(_STEMS.split())
"""Lower-case words that no password may consist of, whatever digits and signs surround them."""
