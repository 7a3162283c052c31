// Gives an endpoint back, twice: release-endpoint.mjs BUILD PLATFORM
import {depot} from '@depot/sdk-node'

const headers = {Authorization: `Bearer ${process.env.DEPOT_TOKEN}`}
const [buildId, platform] = process.argv.slice(2)
const hold = {buildId, platform: Number(platform)}
const first = await depot.buildkit.v1.BuildKitService.releaseEndpoint(hold, {headers})
const second = await depot.buildkit.v1.BuildKitService.releaseEndpoint(hold, {headers})

console.log(JSON.stringify([first.toJson(), second.toJson()]))
