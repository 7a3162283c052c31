// The life of a project through the SDK. Prints what each call returned.
import {depot} from '@depot/sdk-node'

const headers = {Authorization: `Bearer ${process.env.DEPOT_TOKEN}`}
const projects = depot.core.v1.ProjectService
const HARDWARE_32X64 = 5

const created = await projects.createProject(
  {
    name: 'customer-1',
    organizationId: process.env.DEPOT_ORG_ID,
    regionId: 'eu-central-1',
    cachePolicy: {keepBytes: 20 * 1024 ** 3, keepDays: 7},
  },
  {headers},
)
const {projectId} = created.project
const listed = await projects.listProjects({}, {headers})
const got = await projects.getProject({projectId}, {headers})
const updated = await projects.updateProject(
  {projectId, name: 'customer one', hardware: HARDWARE_32X64, cachePolicy: {keepBytes: 10 * 1024 ** 3, keepDays: 3}},
  {headers},
)
const reset = await projects.resetProject({projectId}, {headers})
const afterReset = await projects.getProject({projectId}, {headers})
const deleted = await projects.deleteProject({projectId}, {headers})
const afterDelete = await projects.getProject({projectId}, {headers}).catch((error) => ({error: error.message}))

console.log(
  JSON.stringify({
    projectId,
    created: created.toJson(),
    listed: listed.projects.map((project) => project.projectId),
    got: got.toJson(),
    updated: updated.toJson(),
    reset: reset.toJson(),
    afterReset: afterReset.toJson(),
    deleted: deleted.toJson(),
    afterDelete,
  }),
)
