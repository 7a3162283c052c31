// Reads the usage of the day around now, of the project and of all.
import {Timestamp} from '@bufbuild/protobuf'
import {depot} from '@depot/sdk-node'

const headers = {Authorization: `Bearer ${process.env.DEPOT_TOKEN}`}
const projectId = process.env.DEPOT_PROJECT_ID
const usage = depot.core.v1.UsageService
const hour = 3600_000
const period = {
  startAt: Timestamp.fromDate(new Date(Date.now() - 12 * hour)),
  endAt: Timestamp.fromDate(new Date(Date.now() + 12 * hour)),
}

const ofProject = await usage.getProjectUsage({projectId, ...period}, {headers})
const listed = await usage.listProjectUsage({...period, pageSize: 500}, {headers})
const all = await usage.getUsage(period, {headers})

console.log(JSON.stringify({ofProject: ofProject.usage.toJson(), listed: listed.toJson(), all: all.toJson()}))
