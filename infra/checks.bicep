metadata description = 'Checks of texts for main.bicepparam. Bicep has no regular expressions.'

var lowerCase = 'abcdefghijklmnopqrstuvwxyz'
var digits = '0123456789'

@export()
@description('Whether a text is true or false')
func isBoolean(text string) bool => contains(['true', 'false'], text)

@export()
@description('The sentence that refuses a value')
func refusal(variable string, value string, wanted string) string =>
  '${variable} is ${empty(value) ? 'empty' : '"${value}"'}: type ${wanted}.'

@export()
@description('The parts of a comma-separated list, trimmed; empty parts are left out')
func listOf(text string) string[] => filter(map(split(text, ','), part => trim(part)), part => !empty(part))

@export()
@description('The texts before and after the first equals sign')
func pairOf(text string) { name: string, value: string } => {
  name: trim(first(split(text, '='))!)
  value: trim(join(skip(split(text, '='), 1), '='))
}

@export()
@description('Whether there is text on both sides of an equals sign')
func isPair(text string) bool => !empty(pairOf(text).name) && !empty(pairOf(text).value)

@export()
@description('Whether all names differ, upper and lower case being equal')
func areDistinct(names string[]) bool => length(union(map(names, name => toLower(name)), [])) == length(names)

@export()
@description('A list without what stands in it before')
func distinct(list string[]) string[] => union(list, [])

func isMadeOf(text string, alphabet string) bool =>
  !empty(text) && empty(filter(range(0, length(text)), i => !contains(alphabet, substring(text, i, 1))))

@export()
@description('Whether a text is letters, digits and hyphens; lower: lower-case letters only')
func isName(text string, least int, most int, lower bool) bool =>
  length(text) >= least && length(text) <= most && isMadeOf(lower ? text : toLower(text), '${lowerCase}${digits}-')

@export()
@description('Whether a text can be the name of a storage account')
func isAccountName(text string) bool => isName(text, 3, 24, true) && !contains(text, '-')

@export()
@description('Whether a text is a whole number within limits')
func isNumber(text string, least int, most int) bool =>
  isMadeOf(text, digits) && length(text) < 10 && int(text) >= least && int(text) <= most

@export()
@description('Whether a text is a GUID')
func isGuid(text string) bool => isMadeOf(toLower(text), 'abcdef${digits}-') && shapeOf(text, '-') == '8-4-4-4-12'

func shapeOf(text string, separator string) string =>
  join(map(split(text, separator), part => string(length(part))), '-')

// As JSON in a list, since no function takes a number with a fraction by itself.
func listed(setting object) string => string([setting.value])

@export()
@description('Whether a setting has a text, a number, true or false')
func isSingle(setting object) bool => !contains(['[{', '[[', '[n'], take(listed(setting), 2))

@export()
@description('The value of a setting as text')
func textOf(setting object) string =>
  startsWith(listed(setting), '["')
    ? string(setting.value)
    : take(skip(listed(setting), 1), max(0, length(listed(setting)) - 2))

@export()
@description('Whether a text has the six fields of a schedule')
func isSchedule(text string) bool => length(split(text, ' ')) == 6 && !contains(split(text, ' '), '')

@export()
@description('Whether a text is a mail address')
func isEmail(text string) bool =>
  length(split(text, '@')) == 2 && !empty(first(split(text, '@'))) && length(split(last(split(text, '@'))!, '.')) > 1 && !contains(
    split(last(split(text, '@'))!, '.'),
    ''
  ) && empty(filter([' ', ';', ':', '<', '>', '(', ')', '"'], character => contains(text, character)))

func isIpv4(text string) bool =>
  length(split(text, '.')) == 4 && empty(filter(split(text, '.'), part => !isPlainNumber(part, 255)))

// Without leading zeros, which some programs read as octal.
func isPlainNumber(text string, most int) bool => isNumber(text, 0, most) && (text == '0' || !startsWith(text, '0'))

func isIpv6(text string) bool =>
  isMadeOf(toLower(text), 'abcdef${digits}:') && empty(filter(split(text, ':'), part => length(part) > 4)) && !contains(
    text,
    ':::'
  ) && (contains(text, '::')
    ? length(split(text, '::')) == 2 && length(filter(split(text, ':'), part => !empty(part))) < 8 && areClosed(split(
        text,
        '::'
      ))
    : length(split(text, ':')) == 8 && !contains(split(text, ':'), ''))

// No half begins or ends with a colon of its own.
func areClosed(halves string[]) bool => empty(filter(halves, half => startsWith(half, ':') || endsWith(half, ':')))

@export()
@description('Whether a text is a range of IP addresses, or one address')
func isRange(text string) bool => length(split(text, '/')) <= 2 && isMasked(addressOf(text), maskOf(text))

func isMasked(address string, mask string) bool =>
  contains(address, ':') ? isIpv6(address) && isPlainNumber(mask, 128) : isIpv4(address) && isPlainNumber(mask, 32)

func addressOf(text string) string => first(split(text, '/'))!

func maskOf(text string) string => contains(text, '/') ? last(split(text, '/'))! : contains(text, ':') ? '128' : '32'

@export()
@description('The range; a single address gets its mask')
func rangeOf(text string) string => '${addressOf(text)}/${maskOf(text)}'

@export()
@description('Whether a text is a day, such as 2027-01-31')
func isDay(text string) bool =>
  shapeOf(text, '-') == '4-2-2' && isNumber(take(text, 4), 1, 9999) && isNumber(substring(text, 5, 2), 1, 12) && isNumber(
    substring(text, 8, 2),
    1,
    daysIn(int(take(text, 4)), int(substring(text, 5, 2)))
  )

func daysIn(year int, month int) int =>
  month == 2
    ? (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28)
    : contains([4, 6, 9, 11], month) ? 30 : 31

@export()
@description('Whether a text is a day, or a time of RFC 3339 such as 2027-01-31T18:00:00Z')
func isTime(text string) bool => isDay(text) || isMoment(take(text, 10), take(skip(text, 10), 9), skip(text, 19))

func isMoment(day string, clock string, rest string) bool =>
  isDay(day) && startsWith(clock, 'T') && isClock(skip(clock, 1)) && isZone(zoneOf(rest)) && isFraction(take(
    rest,
    length(rest) - length(zoneOf(rest))
  ))

func isClock(text string) bool =>
  shapeOf(text, ':') == '2-2-2' && isNumber(take(text, 2), 0, 23) && isNumber(substring(text, 3, 2), 0, 59) && isNumber(
    skip(text, 6),
    0,
    59
  )

func isFraction(text string) bool => empty(text) || startsWith(text, '.') && isMadeOf(skip(text, 1), digits)

func zoneOf(text string) string => endsWith(text, 'Z') ? 'Z' : skip(text, max(0, length(text) - 6))

func isZone(text string) bool => text == 'Z' || contains(['+', '-'], take(text, 1)) && isClock('${skip(text, 1)}:00')

func partsOf(id string) string[] => split(id, '/')

func typeOf(id string) string =>
  join(
    concat(
      take(skip(partsOf(id), 6), 1),
      map(filter(range(7, max(0, length(partsOf(id)) - 7)), i => i % 2 == 1), i => partsOf(id)[i])
    ),
    '/'
  )

@export()
@description('Whether a text is the id of a resource of this type')
func isResourceId(id string, type string) bool =>
  length(partsOf(id)) == 5 + 2 * length(split(type, '/')) && toLower(typeOf(id)) == toLower(type) && empty(filter(
    skip(partsOf(id), 1),
    part => empty(part)
  )) && join(map([0, 1, 3, 5], i => toLower(partsOf(id)[i])), '/') == '/subscriptions/resourcegroups/providers'

@export()
@description('An example of such an id, for sentences')
func idOf(type string) string =>
  'an id such as /subscriptions/…/resourceGroups/…/providers/${first(split(type, '/'))}/${join(map(skip(split(type, '/'), 1), part => '${part}/…'), '/')}'

// What Azure takes for itself, and refuses in a virtual network.
var reservedRanges = ['127.0.0.0/8', '168.63.129.16/32', '169.254.0.0/16', '224.0.0.0/4', '255.255.255.255/32']

func overlap(one string, other string) bool =>
  networkOf(one, min(int(maskOf(one)), int(maskOf(other)))) == networkOf(
    other,
    min(int(maskOf(one)), int(maskOf(other)))
  )

func networkOf(range string, mask int) string => parseCidr('${addressOf(range)}/${mask}').network

@export()
@description('Whether a text is an address space for two subnets of 64 addresses, with nothing but zeros behind its mask')
func isNetwork(text string) bool =>
  contains(text, '/') && isRange(text) && isIpv4(addressOf(text)) && isNumber(maskOf(text), 8, 24) && parseCidr(text).network == addressOf(text) && empty(filter(
    reservedRanges,
    reserved => overlap(text, reserved)
  ))

@export()
@description('Whether a text is a tag that every resource takes and azd does not set')
func isTag(text string) bool =>
  isPair(text) && length(pairOf(text).name) <= 128 && length(pairOf(text).value) <= 256 && !startsWith(
    toLower(pairOf(text).name),
    'azd-'
  ) && empty(filter(['<', '>', '%', '&', '\\', '?', '/'], character => contains(pairOf(text).name, character)))

@export()
@description('Whether Azure takes this name for this kind of resource')
func isResourceName(kind string, text string) bool =>
  contains(['host', 'data', 'tables'], kind)
    ? isAccountName(text)
    : !startsWith(text, '-') && !endsWith(text, '-') && (kind == 'app'
        ? isName(text, 2, 60, false)
        : kind == 'vault' && isName(text, 3, 24, false) && !contains(text, '--') && contains(
            lowerCase,
            toLower(take(text, 1))
          ))

@export()
@description('Whether a number of days is within the limits of its kind')
func isRetention(kind string, text string) bool =>
  contains(['raw-cool', 'raw', 'runs', 'operations', 'deleted', 'evidence', 'logs'], kind) && isNumber(
    text,
    { 'raw-cool': 1, raw: 2, runs: 31, operations: 31, deleted: 1, evidence: 1, logs: 30 }[kind],
    { 'raw-cool': 36500, raw: 36500, runs: 36500, operations: 36500, deleted: 365, evidence: 146000, logs: 730 }[kind]
  )
