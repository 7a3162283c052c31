// Prints what the SDK in the folder named by the argument believes the messages to be, in the form of wire.json.
// Its module exports its clients alone, so a copy is read that makes none of them and exports everything else.
import {readFileSync, writeFileSync} from 'node:fs'
import {pathToFileURL} from 'node:url'
import {ScalarType} from '@bufbuild/protobuf'

const [sdk, copy] = process.argv.slice(2)
const source = readFileSync(`${sdk}/dist/index.mjs`, 'utf8')
const messages = source.slice(0, source.indexOf('var transport = ')).replace(/^import .*connect.*$/gm, '')
const names = [...messages.matchAll(/^var (\w+) = /gm)].map((found) => found[1])
writeFileSync(copy, `${messages}\nexport {${names.join(', ')}}\n`)
const all = await import(pathToFileURL(copy))

const kinds = ['unary', 'server_streaming', 'client_streaming', 'bidi_streaming']
const typeOf = (kind, type) => (kind === 'scalar' ? ScalarType[type].toLowerCase() : type.typeName)

function described(field) {
  const type = field.kind === 'map' ? `map<${typeOf('scalar', field.K)},${typeOf(field.V.kind, field.V.T)}>` : typeOf(field.kind, field.T)
  const found = {no: field.no, type}
  if (field.repeated) found.repeated = true
  if (field.opt) found.optional = true
  else if (field.oneof) found.oneof = field.oneof.name
  return found
}

const contract = {messages: {}, enums: {}, services: {}}

function takeType(field) {
  const type = field.kind === 'map' ? field.V : field
  if (type.kind === 'message') takeMessage(type.T)
  if (type.kind === 'enum') contract.enums[type.T.typeName] = Object.fromEntries(type.T.values.map((one) => [one.name, one.no]))
}

function takeMessage(message) {
  if (message.typeName in contract.messages || message.typeName.startsWith('google.')) return
  const fields = message.fields.list()
  contract.messages[message.typeName] = Object.fromEntries(fields.map((field) => [field.name, described(field)]))
  fields.forEach(takeType)
}

for (const part of Object.values(all)) {
  if (part?.fields && part?.typeName) takeMessage(part)
  if (!part?.methods || !part?.typeName) continue
  contract.services[part.typeName] = Object.fromEntries(
    Object.values(part.methods).map((method) => {
      takeMessage(method.I)
      takeMessage(method.O)
      return [method.name, {input: method.I.typeName, kind: kinds[method.kind], output: method.O.typeName}]
    }),
  )
}
console.log(JSON.stringify(contract))
