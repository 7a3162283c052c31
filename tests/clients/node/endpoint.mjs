// Gets an endpoint with the build's own token, reports its health in one stream, and prints what came:
// endpoint.mjs BUILD
import {depot} from '@depot/sdk-node'

const headers = {Authorization: `Bearer ${process.env.DEPOT_TOKEN}`}
const [buildId] = process.argv.slice(2)
const PLATFORM_AMD64 = 1

const cases = []
let active
for await (const {connection} of depot.buildkit.v1.BuildKitService.getEndpoint(
  {buildId, platform: PLATFORM_AMD64},
  {headers},
)) {
  cases.push(connection.case)
  if (connection.case === 'active') active = connection.value
}

async function* health() {
  yield {buildId, platform: PLATFORM_AMD64}
  yield {buildId, platform: PLATFORM_AMD64}
}
const reported = await depot.buildkit.v1.BuildKitService.reportHealth(health(), {headers})

console.log(JSON.stringify({cases, active: active.toJson(), reported: reported.toJson()}))
