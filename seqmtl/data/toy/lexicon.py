"""The open-class words of the toy corpus, in tables meant to be read and added to.

Nouns and names stand in lists by what they mean, because meaning decides which verbs take them and where a following
phrase attaches. Earlier words are more frequent. An underscore stands for a blank inside a name.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from seqmtl.data.toy.wordlist import WordList, words


class Kind(StrEnum):
    """What a noun phrase denotes."""

    PERSON = "person"
    AGENT = "agent"  # a person or an organisation
    ORG = "org"
    CLUB = "club"  # a sports club, mostly named like its city
    PLACE = "place"
    THING = "thing"
    FOOD = "food"
    TEXT = "text"
    TOPIC = "topic"
    EVENT = "event"


# Names. Several words stand in more than one list (Jordan, Florence, Austin, Lincoln, Harper, Chelsea ...).
FIRST_NAMES = words("""
    Anna Paul Maria Peter Helen Mark Clara David Rose Thomas Julia Martin Grace Oliver Nina Frank Laura Simon
    Florence Jordan Emma Robert Alice Hugo Irene Lucas Sofia Edgar Vera Austin Ruth Felix Martha Will Judith
    Oscar Diana Victor Eva Hannah George Lena Walter Charlotte Bruno Ingrid Henry Paula Leon Agnes Karl Olga
    Daniel Bill Miriam Conrad Sarah Edwin Monica Philip Teresa Arthur Nadia Stefan Amelia Gordon Rita Hope
    Samuel Elena Ralph Yvonne Harold Camilla Eric Lydia Norman Beatrice Louis Doris Albert Cecilia Roland Greta
    Patrick Naomi Otto Sylvia Vincent Ursula Theo Wanda Gilbert Flora Madison May Rupert Tamara Desmond Priya
    Ravi Yusuf Leila Kenji Aiko Mehmet Fatima Chiara Marco Ines Diego Carmen Pablo Astrid Lars Sven Birgit Anton
    Milan Zoe Iris Cyril Hector Mabel Nora Percy Quentin Rebecca Silas Tobias Una Wilfred""")
SURNAMES = words("""
    Weber Harper Novak Miller Carter Lindqvist Morgan Okafor Bauer Reed Lincoln Silva Hughes Moreau Schmidt
    Jordan Ivanov Foster Keller Rossi Bennett Tanaka Haddad Walsh Fischer Cole Petrov Marsh Hoffman Nakamura
    Palmer Costa Drake Eriksen Mendes Doyle Vogel Hayes Kovacs Sutton Ferrari Blake Lang Osman Pierce Romero
    Stone Wagner Abbott Barnes Castillo Dalton Egan Farrell Gibson Hansen Ingram Jansen Kaplan Larsen Mercer
    Nolan Ortega Parrish Quinn Ramsey Sandberg Thornton Ulrich Vargas Whitaker Yates Zimmer Archer Boyd Crane
    Dufour Ellison Fairbanks Garland Holt Irving Jarvis Kessler Lombard Maddox Norris Osborne Pryce Radley
    Sheldon Tilley Underhill Vance Winslow Ashby Brandt Corwin Delgado Emerson Falk Grant Hartley Isaksen Joyner
    Kruger Lowell Merton Neville Oakley Pruitt Rhodes Sawyer Tennant Upton Vickers Wexler Beckett Chandler
    Duarte Espinoza Fontaine Greer Hobbs Ibarra Jennings Kimura""")
CITIES = words("""
    Leeds Paris Oslo Boston Vienna Florence Madrid Chicago Prague Lisbon Jordan_Falls Dublin Lincoln Cairo
    Hamburg Austin Geneva Warsaw Toronto Seattle Norwich Bergen Zurich Lima Denver Krakow Bristol Milan Nairobi
    Madison Kyoto Athens Dresden Porto Glasgow Mumbai Charlotte Lyon Quito Bremen Antwerp Tampa Riga Turin
    Galway Marseille Havana Leipzig Tallinn Cork Osaka Bologna Utrecht Vilnius Seville Naples Ghent Basel Manila
    Tunis Aleppo Sofia Izmir Gdansk Malmo Aarhus Tromso Linz Graz Trieste Genoa Verona Padua Bilbao Granada
    Toledo Braga Coimbra Derby Exeter Plymouth Carlisle Dundee Swansea Belfast Limerick Omaha Memphis Phoenix
    Tucson Albany Hartford Calgary Ottawa Winnipeg Lagos Accra Dakar Mombasa Kampala Jakarta Bangkok Hanoi
    Taipei Nagoya Sapporo Perth Brisbane Canberra Montevideo Bogota New_Haven Port_Louis San_Pedro East_Harbour
    Fort_Marion Cape_Winter Saint_Brieuc""")
COUNTRIES = words("""
    France Germany Italy Spain Norway Japan Brazil Canada Egypt Poland Sweden Kenya Jordan Portugal India Peru
    Austria Greece Chile Finland Mexico Turkey Ireland Ghana Denmark Vietnam Morocco Belgium Iceland Bolivia
    Estonia Nigeria Hungary Malta Senegal Romania Cuba Nepal Latvia Tunisia Uruguay Zambia Slovenia Croatia
    Ecuador Lebanon Georgia Cyprus Panama Uganda Thailand Albania Armenia New_Zealand South_Korea Sri_Lanka""")
RIVERS = words("""
    Rhine Danube Elbe Thames Loire Nile Volga Tagus Seine Ganges Mekong Severn Tiber Oder Shannon Niger Hudson
    Vistula Garonne Douro Neckar Weser Ebro Clyde Tyne Mersey Orinoco Zambezi Limpopo Yukon""")
COMPANIES = words("""
    Novatek Brightcom Altiron Harper Datalux Morgan Ferrocom Solvix Grantech Norfab Medicor Chelsea Polytron
    Aquaterm Lumina Vantex Terracom Optimar Helvex Cargotec Biodyne Silvacom Petrolux Agrifin Nordica Transbel
    Infracom Duratex Omnivia Electra Primatex Zenivo Kestrel Quantix Ceramex Velocor Pharmalis Textron Maritex
    Ecotherm Globex Sonaris Autofin Cybertek Hydromax Interlux Radiant Stellex Unicor Vestara""")
NATIONALITIES = words("""
    French German Italian Spanish Norwegian Japanese Brazilian Canadian Egyptian Polish Swedish Kenyan
    Portuguese Indian Peruvian Austrian Greek Chilean Finnish Mexican Turkish Irish Danish Moroccan Belgian
    Icelandic Estonian Nigerian Hungarian Maltese Romanian Cuban Nepalese Latvian Slovenian Croatian Lebanese
    Georgian Thai Albanian Armenian Vietnamese Dutch British Russian Chinese American Australian""")

# Nouns.
PERSONS = words("""
    teacher farmer doctor student friend lawyer woman man neighbour child nurse painter engineer journalist
    customer driver writer worker baker singer scientist girl boy artist soldier gardener visitor tourist sailor
    poet guard actor pilot clerk waiter patient musician dancer librarian historian architect carpenter banker
    detective editor reporter coach player winner witness cousin uncle aunt brother sister daughter son
    colleague dentist surgeon butcher mechanic electrician photographer translator novelist violinist pianist
    composer critic priest widow stranger traveller hunter miner weaver potter cyclist swimmer jeweller barber
    grocer fisherman thief chef shepherd plumber tailor sculptor juggler biologist chemist economist beekeeper
    innkeeper goldsmith accountant apprentice inspector inventor merchant opponent passenger pharmacist porter
    referee sergeant tenant trainee tutor veteran volunteer wanderer youngster""")
ROLES = words("""
    mayor president director minister king owner manager leader founder queen governor ambassador captain chairman
    treasurer spokesman secretary chancellor prince bishop sheriff commander curator patron principal""")
GROUPS = words("""
    company committee government council bank team court agency union board ministry club firm party jury
    parliament commission orchestra charity hospital laboratory newspaper publisher cooperative""")
PLACES = words("""
    house museum school bridge church station garden castle library harbour market hotel village factory theatre
    farm office restaurant park airport tower square palace airfield warehouse cathedral monastery bakery
    brewery stadium cemetery canal chapel cottage gallery granary lighthouse mansion mill orchard pavilion
    prison quarry reservoir ruin shop stable studio temple tunnel vineyard workshop barn campus depot inn""")
THINGS = words("""
    car picture boat letter box chair machine coat painting camera clock bicycle table ring piano lamp gun
    ticket coin bag engine wagon violin statue basket bottle carpet computer cup curtain desk diamond document
    dress drum flag guitar hat helmet jacket kettle key ladder mirror necklace photograph printer radio rope
    scarf shirt sofa spoon suitcase sword telescope tent tractor trumpet umbrella vase wheel cabinet candle
    canoe compass barrel bracelet blanket harp lantern mattress pendant parcel pillow saddle sledge tapestry
    trunk typewriter wardrobe wheelbarrow""")
FOODS = words("""
    apple cake soup loaf fish potato sandwich pie egg cheese meal tomato pear dinner breakfast pancake omelette
    sausage orange cherry carrot onion salad pudding biscuit stew plum mushroom lemon pumpkin turnip""")
TEXTS = words("""
    book article story poem letter novel lecture song film speech essay paper message note pamphlet documentary
    memoir diary column leaflet textbook thesis chapter""")
TOPICS = words("""
    economy climate problem history law idea tax strike crisis war policy price election budget religion culture
    language reform science security treaty democracy philosophy tradition rumour accusation proposition
    constitution doctrine theory controversy dilemma campaign""")
MASS_TOPICS = words("""
    education health energy trade pollution poverty agriculture safety corruption unemployment inflation justice
    literature mythology medicine astronomy migration tourism weather journalism transport farming""")
EVENTS = words("""
    meeting concert wedding party war match storm trial festival exam funeral fire conference ceremony accident
    dinner competition parade earthquake flood harvest hearing holiday interview exhibition rehearsal seminar
    tournament auction carnival banquet""")
BUILDING_PARTS = words("""
    roof door window wall tower garden floor gate chimney cellar balcony stair ceiling courtyard doorway terrace
    staircase attic porch""")
THING_PARTS = words("""
    handle lid cover frame lock engine button strap hinge label pocket blade zip hook knob buckle""")
LANGUAGES = words("""
    French German Italian Spanish Norwegian Japanese Polish Swedish Portuguese Greek Turkish Finnish Danish Hungarian
    Dutch English Russian Arabic Hindi Korean Welsh Basque Estonian Latvian""")
INSTRUMENTS = words("""
    knife hammer key brush axe needle spade stick saw rope torch chisel crowbar drill lever pencil razor
    screwdriver shovel sickle wrench magnet""")
QUALITIES = words("""
    care enthusiasm patience pride difficulty joy courage surprise anger skill relief precision reluctance caution
    determination dignity ease elegance hesitation passion""")

# Modifiers.
ADJECTIVES = words("""
    old new small large young good fast hard straight beautiful red black important long quiet strange expensive
    famous rich poor happy white early heavy empty light open clean dry warm cold angry brave clever cheap dark
    deep dirty fresh honest hungry modern narrow noisy proud sad sharp short simple strong tall tired ugly
    useful usual weak wide wise wooden green blue broken yellow ancient bitter blind broad calm careful curious
    dangerous elegant enormous fragile friendly generous gentle gloomy grateful handsome huge humble jealous
    lazy lonely loyal mysterious nervous obvious ordinary pale patient peculiar polite popular precious rare
    reliable remarkable rusty serious shallow silent slender smooth splendid steep stubborn tiny transparent
    valuable vast wealthy unusual cautious crooked damp exotic faded fierce frosty harmless immense massive
    muddy obscure""")
MANNERS = words("""
    slowly quickly carefully quietly suddenly badly happily loudly politely secretly calmly easily gently
    angrily proudly eagerly patiently bravely clumsily cheerfully cleverly coldly firmly gladly gracefully
    honestly nervously openly reluctantly silently skilfully softly thoroughly warmly wisely hastily gloomily
    bitterly""")

LEXICON: Mapping[str, WordList[str]] = MappingProxyType(
    {name: value for name, value in list(globals().items()) if isinstance(value, WordList)}
)
