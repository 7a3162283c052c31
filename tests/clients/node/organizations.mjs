// Lists the organizations that the token belongs to.
import {depot} from '@depot/sdk-node'

const headers = {Authorization: `Bearer ${process.env.DEPOT_TOKEN}`}
const {organizations} = await depot.core.v1.OrganizationService.listOrganizations({}, {headers})

console.log(JSON.stringify(organizations.map((organization) => organization.toJson())))
